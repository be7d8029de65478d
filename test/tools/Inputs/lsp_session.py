"""Talks to a language server: opens documents, prints what it says of them and where it completes and jumps to.

usage: lsp_session.py mlir|pdll SERVER, or print: the .pdll document itself"""
import json
import os
import subprocess
import sys

MLIR = """func.func @f(%x: tensor<4x8xf32>, %y: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %0 = "onnx.Relu"(%x) : (tensor<4x8xf32>) -> tensor<4x8xf32>
  return %0 : tensor<4x8xf32>
}
"""
PDLL = """#include "dialects/Onnx/OnnxPatterns.td"
#include "dialects/Onnx/Patterns.pdll"

Pattern ReluOfRelu {
  let inner = op<onnx.Relu>(x: Value);
  let outer = op<onnx.Relu>(inner.Y);
  OneUse(inner.Y);
  replace outer with inner;
}
"""


class Session:
    def __init__(self, server):
        self.server = subprocess.Popen([server], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.number = 0
        self.ask("initialize", processId=None, rootUri=None, capabilities={})
        self.send(method="initialized", params={})

    def send(self, **message):
        text = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self.server.stdin.write(b"Content-Length: %d\r\n\r\n" % len(text) + text)
        self.server.stdin.flush()

    def receive(self, wanted):
        while True:
            length = 0
            while (line := self.server.stdout.readline().strip()):
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            if not length:
                sys.exit("the server is gone")
            message = json.loads(self.server.stdout.read(length))
            if wanted(message):
                return message

    def ask(self, method, **params):
        self.number += 1
        self.send(id=self.number, method=method, params=params)
        return self.receive(lambda m: m.get("id") == self.number)["result"]

    def open(self, name, text):
        uri = f"file:///{name}"
        self.send(method="textDocument/didOpen", params={"textDocument": {"uri": uri, "languageId": name[-4:], "version": 1, "text": text}})
        answer = self.receive(lambda m: m.get("method") == "textDocument/publishDiagnostics" and m["params"]["uri"] == uri)
        print(f"{name}: {len(answer['params']['diagnostics'])} diagnostics")
        return uri

    def at(self, what, uri, line, character):
        return self.ask("textDocument/" + what, textDocument={"uri": uri}, position={"line": line, "character": character})

    def complete(self, uri, line, character):
        labels = [item["label"] for item in self.at("completion", uri, line, character)["items"]]
        print(f"completion: {len(labels)} entries, " + ", ".join(name for name in ("Relu", "Attention") if name in labels))

    def jump(self, uri, line, character):
        for place in self.at("definition", uri, line, character):
            print(f"jump: {os.path.basename(place['uri'])}:{place['range']['start']['line']}")

    def close(self):
        self.ask("shutdown")
        self.send(method="exit")


if sys.argv[1] == "print":
    print(PDLL, end="")
    sys.exit()
session, kind = Session(sys.argv[2]), sys.argv[1]
text = MLIR if kind == "mlir" else PDLL
good = session.open(f"good.{kind}", text)
session.open(f"bad.{kind}", text.replace("onnx.Relu", "onnx.Relooo") if kind == "mlir" else text.replace("OneUse", "NoUse"))
line, character = (1, 10) if kind == "mlir" else (4, 20)
print("hover:", json.dumps(session.at("hover", good, line, character)))
if kind == "mlir":
    session.complete(session.open("half.mlir", text.replace('"onnx.Relu"(%x) : (tensor<4x8xf32>) -> tensor<4x8xf32>', "onnx.")), 1, 12)
    session.jump(good, 2, 10)
else:
    session.complete(session.open("half.pdll", text.replace("onnx.Relu>(x: Value)", "onnx.>")), 4, 22)
    session.jump(good, 5, 29)
    session.jump(good, 4, 20)
session.close()
