"""Opens a page in a headless Chromium, offline but for this folder, and prints the texts of its <pre> and #time once the network has run.

usage: in_browser.py FOLDER PAGE      serves FOLDER as a page that may share memory among threads must be served; the page is served
with a line more, which sends both texts back when they are there: workers take real time, so no time of the browser's own is trusted"""
import functools
import http.server
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading

REPORT = """<script>
const report = setInterval(() => {
  const texts = ["pre", "#time"].map((place) => document.querySelector(place)?.textContent ?? "");
  if (texts.every((text) => text.trim())) { clearInterval(report); fetch("/report", {method: "POST", body: JSON.stringify(texts)}); }
}, 50);
</script>"""
reports = queue.Queue()


class Handler(http.server.SimpleHTTPRequestHandler):
    def end_headers(self):
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        super().end_headers()

    def do_GET(self):
        if self.path.lstrip("/") != sys.argv[2]:
            return super().do_GET()
        with open(os.path.join(sys.argv[1], sys.argv[2]), encoding="utf-8") as file:
            page = (file.read() + REPORT).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def do_POST(self):
        reports.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=sys.argv[1]))
threading.Thread(target=server.serve_forever, daemon=True).start()
with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
    browser = subprocess.Popen(["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", f"--user-data-dir={profile}",
                                "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
                                f"http://127.0.0.1:{server.server_address[1]}/{sys.argv[2]}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        print(*reports.get(timeout=100), sep="\n")
    except queue.Empty:
        sys.exit("the page told nothing in 100 s")
    finally:
        browser.kill()
        browser.wait()
