"""WebRTC both ways: publishing by WHIP, watching by WHEP, and a page to watch on."""
