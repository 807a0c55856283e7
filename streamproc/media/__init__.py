"""PyAV's room: probe, demux, decode, lazy pictures, JPEG, fragments."""
