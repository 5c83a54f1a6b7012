"""Floor 0: files, pictures, video, questions, numbers and network building blocks; knows nothing of faces."""
