"""What surrounds the daemon: image, compose file, unit, installer."""
