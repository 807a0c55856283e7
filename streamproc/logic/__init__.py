"""Verbs: pure functions and state machines. Time is an argument; nothing here reads a clock or touches IO."""
