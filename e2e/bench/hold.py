"""Opens connections, has each answer one request, says "open", and holds them until its input ends: hold.py URL NUMBER."""

import socket
import sys
from urllib.parse import urlsplit

url = urlsplit(sys.argv[1])
connections = []
for number in range(int(sys.argv[2])):
    connection = socket.create_connection((url.hostname, url.port), timeout=10)
    connection.sendall(b"GET / HTTP/1.1\r\nHost: web\r\n\r\n")
    answer = connection.recv(4096)
    if not answer.startswith(b"HTTP/1.1 200 "):
        sys.exit(f"connection {number} was answered: {answer[:100]}")
    connections.append(connection)
print("open", flush=True)
sys.stdin.read()
