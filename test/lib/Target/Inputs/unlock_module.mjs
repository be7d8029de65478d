// Loads the module that argv names: without a key, with another, with its own.
import { pathToFileURL } from "node:url";
const { load } = await import(pathToFileURL(process.argv[2]));
for (const key of [undefined, new Uint8Array(32), new Uint8Array(32).fill(0x5a)])
  try {
    const model = await load(undefined, { key });
    console.log(String(model.run({ x: new Float32Array([1, 2, 3, 4]) })["y:0"]));
  } catch (e) {
    console.log(e.message);
  }
