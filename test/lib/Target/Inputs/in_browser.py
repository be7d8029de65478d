"""Opens a page in a headless Chromium, offline but for this folder, and prints the texts of its <pre> and #time once the network has run.

usage: in_browser.py FOLDER PAGE      serves FOLDER as a page that may share memory among threads must be served"""
import functools
import html
import http.server
import re
import subprocess
import sys
import tempfile
import threading


class Handler(http.server.SimpleHTTPRequestHandler):
    def end_headers(self):
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        super().end_headers()

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=sys.argv[1]))
threading.Thread(target=server.serve_forever, daemon=True).start()
with tempfile.TemporaryDirectory() as profile:
    page = subprocess.run(["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", f"--user-data-dir={profile}",
                           "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--virtual-time-budget=20000", "--dump-dom",
                           f"http://127.0.0.1:{server.server_address[1]}/{sys.argv[2]}"], capture_output=True, text=True, timeout=120).stdout
for pattern in (r"<pre[^>]*>(.*?)</pre>", r'<span id="time">(.*?)</span>'):
    print(html.unescape(re.search(pattern, page, re.S).group(1)))
