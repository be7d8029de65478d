// Runs the first module with one and with four threads, often, and compares with the second, which has none.
import { pathToFileURL } from "node:url";
const [shared, alone] = await Promise.all(process.argv.slice(2).map((path) => import(pathToFileURL(path))));
const x = Float32Array.from({ length: 3 * 48 * 48 }, (_, i) => Math.sin(i * 0.37));
const want = (await alone.load()).run({ x }).y;
for (const threads of [1, 4]) {
  const model = await shared.load(undefined, { threads });
  let agrees = true;
  for (let i = 0; i < 50; ++i) agrees &&= model.run({ x }).y.every((v, j) => v === want[j]);
  model.close();
  console.log(`${threads} thread${threads > 1 ? "s" : ""}: ${agrees ? "the same" : "other results"}`);
}
try {
  await alone.load(undefined, { threads: 2 });
} catch (e) {
  console.log(e.message);
}
