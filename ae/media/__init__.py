"""Images, folders of them, and clips: read, given colour, and written with everything else that was in them."""
