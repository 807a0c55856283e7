"""Collections, quality, matching, calibration, audit; and faces in live feeds."""
