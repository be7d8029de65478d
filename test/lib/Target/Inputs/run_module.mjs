// Loads the module that argv names and runs it on good and wrong inputs.
import { pathToFileURL } from "node:url";
const { load } = await import(pathToFileURL(process.argv[2]));
const model = await load();
console.log(String(model.run({ x: new Float32Array([1, 2, 3, 4]) })["y:0"]));
for (const x of [new Float32Array(3), undefined])
  try {
    model.run({ x });
  } catch (e) {
    console.log(e.message);
  }
