"""The AWS endpoint: the only room with AWS words. JSON 1.1 wire, SigV4, shapes, faults, translation to core calls."""
