"""Videos: what a file holds, its frames out, frames back in, cuts. The only room that speaks to ffmpeg."""
