"""An adapter that opens a socket when it is imported."""

import socket

from broken_adapters import Healthy

opened = socket.socket()


class OpensOnImport(Healthy):
    pass
