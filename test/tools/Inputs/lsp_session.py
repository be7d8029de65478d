"""Talks to a language server: opens two documents, prints what it says of them. usage: lsp_session.py SERVER"""
import json
import subprocess
import sys

server = subprocess.Popen([sys.argv[1]], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
GOOD = """func.func @f(%x: tensor<4x8xf32>, %y: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %0 = "onnx.Relu"(%x) : (tensor<4x8xf32>) -> tensor<4x8xf32>
  return %0 : tensor<4x8xf32>
}
"""


def send(**message):
    text = json.dumps({"jsonrpc": "2.0", **message}).encode()
    server.stdin.write(b"Content-Length: %d\r\n\r\n" % len(text) + text)
    server.stdin.flush()


def receive(wanted):
    while True:
        length = 0
        while (line := server.stdout.readline().strip()):
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        message = json.loads(server.stdout.read(length))
        if wanted(message):
            return message


def open_document(name, text):
    uri = f"file:///{name}"
    send(method="textDocument/didOpen", params={"textDocument": {"uri": uri, "languageId": "mlir", "version": 1, "text": text}})
    answer = receive(lambda m: m.get("method") == "textDocument/publishDiagnostics" and m["params"]["uri"] == uri)
    print(f"{name}: {len(answer['params']['diagnostics'])} diagnostics")
    return uri


send(id=1, method="initialize", params={"processId": None, "rootUri": None, "capabilities": {}})
receive(lambda m: m.get("id") == 1)
send(method="initialized", params={})
uri = open_document("good.mlir", GOOD)
open_document("bad.mlir", GOOD.replace("onnx.Relu", "onnx.Relooo"))
send(id=2, method="textDocument/hover", params={"textDocument": {"uri": uri}, "position": {"line": 1, "character": 10}})
print("hover:", json.dumps(receive(lambda m: m.get("id") == 2)["result"]))
send(id=3, method="shutdown")
receive(lambda m: m.get("id") == 3)
send(method="exit")
