"""Live feeds: lanes, the frame scheduler, the source threads and the supervisor of processors."""
