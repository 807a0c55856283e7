// What TensorFlow.js itself makes of the model in DIR (tests/unit/vision/tfjs_model.py writes it) and, with a second argument, of NanoDet:
//   npm install @tensorflow/tfjs-core@4.22.0 @tensorflow/tfjs-converter@4.22.0 @tensorflow/tfjs-backend-cpu@4.22.0
//   node tfjs_golden.mjs DIR/tiny.json DIR/tiny.bin 8 map   (or nanodet.json nanodet.bin 416 PartitionedCall/Add_29 ...)
import fs from 'node:fs';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { loadGraphModel } from '@tensorflow/tfjs-converter';

const [topology, weights, size, ...tensors] = process.argv.slice(2);
const side = Number(size);
const document = JSON.parse(fs.readFileSync(topology));
const bytes = fs.readFileSync(weights);
const model = await loadGraphModel({
  load: async () => ({
    modelTopology: document.modelTopology,
    weightSpecs: document.weightsManifest.flatMap((group) => group.weights),
    weightData: bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length),
  }),
});
const values = Float32Array.from({ length: 3 * side * side }, (_, index) => Math.sin(index * 0.37));
const input = document.modelTopology.node.find((node) => node.op === 'Placeholder').name;
for (const name of tensors) {
  const answer = model.execute({ [input]: tf.tensor(values, [1, 3, side, side]) }, name);
  const data = await answer.data();
  const step = Math.floor(data.length / 12);
  const some = Array.from({ length: 12 }, (_, index) => Number(data[index * step].toFixed(5)));
  console.log(JSON.stringify({ name, shape: answer.shape, sum: data.reduce((a, b) => a + b, 0), step, some }));
}
