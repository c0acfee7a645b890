"""Suffixes of clips, which tell files apart before any is opened."""

SUFFIXES = (".mp4", ".mkv", ".mov", ".m4v", ".webm", ".avi", ".ts", ".m2ts", ".flv", ".3gp", ".wmv")  # that are written
READ_ONLY = (
    *(".mpg", ".mpeg", ".m2v", ".vob", ".ogv", ".mts", ".mxf", ".dv", ".asf", ".f4v", ".divx", ".3g2", ".rm", ".rmvb"),
    *(".nut", ".y4m", ".ivf", ".m1v", ".mjpeg", ".mjpg", ".h264", ".264", ".hevc", ".h265", ".265", ".obu"),
)
