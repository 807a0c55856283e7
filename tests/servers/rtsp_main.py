"""Run by the system's Python (it has GStreamer's bindings): an RTSP server that plays clips in real time.

    rtsp_main.py PORT [--auth USER:PASSWORD] PATH=FILE...

Each FILE is MP4 with H.264 or H.265 (named *.h265.mp4). Clients that come while it plays share it; it starts over for the
next one.
"""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402


def make_factory(path):
    """A shared live stream of one file."""
    parse, pay = ("h265parse", "rtph265pay") if ".h265." in path else ("h264parse", "rtph264pay")
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(f"( filesrc location={path} ! qtdemux ! {parse} ! {pay} name=pay0 pt=96 config-interval=-1 )")
    factory.set_shared(True)
    return factory


def main(arguments):
    Gst.init(None)
    port = arguments.pop(0)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(port)
    auth = None
    if arguments and arguments[0] == "--auth":
        arguments.pop(0)
        user, password = arguments.pop(0).split(":", 1)
        auth = GstRtspServer.RTSPAuth()
        token = GstRtspServer.RTSPToken()
        token.set_string("media.factory.role", "user")
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
        server.set_auth(auth)
    mounts = server.get_mount_points()
    for item in arguments:
        path, file = item.split("=", 1)
        factory = make_factory(file)
        if auth:
            permissions = GstRtspServer.RTSPPermissions()
            permissions.add_permission_for_role("user", "media.factory.access", True)
            permissions.add_permission_for_role("user", "media.factory.construct", True)
            factory.set_permissions(permissions)
        mounts.add_factory(path, factory)
    if server.attach(None) == 0:
        sys.exit("cannot listen on port " + port)
    print("ready", flush=True)
    GLib.MainLoop().run()


if __name__ == "__main__":
    main(sys.argv[1:])
