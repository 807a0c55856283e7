"""Events and states by MQTT, and the cameras as devices of Home Assistant."""
