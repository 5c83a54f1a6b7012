"""Merging: from a frame and a prediction to a finished frame. Read `merge_frame` first."""
