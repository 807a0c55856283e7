"""What tests of several packages are made of: events, clips, frames, requests, and stand-ins. No test module imports another."""
