"""From frames to tracks with evidence: what a live lane and a stored-video job both call."""
