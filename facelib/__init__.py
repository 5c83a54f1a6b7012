"""What a face is: its landmarks, alignment, masks and the record in its file, and the networks that find faces."""
