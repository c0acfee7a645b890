"""Images, folders of them, and clips: read, given colour, and written with everything else that was in them.

`images` reads and writes single files and `pictures` changes what is in them; `folders` finds files and says what became
of each. `clips` reads and writes film: frames and packets from `clips.reading` go through the stages in `stages`, a batch at
a time (`ae.runtime.chain`), to `clips.writing`; `clips.pipeline` puts these together, and `clips.frames` does so for clips
as numbered images.
"""
