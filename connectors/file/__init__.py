"""Files: video and photographs in, JSON lines and pictures out."""
