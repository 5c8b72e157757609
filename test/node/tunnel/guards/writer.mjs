/** Writes the guards of a file again and again, until it is killed. Built code, for it runs outside of the tests' own loader. */
import { readFile } from 'node:fs/promises';
import { guardFile } from '../../../../dist/node/tunnel/index.js';

const [, , file] = process.argv;
const store = guardFile(file);
const content = await readFile(file);
for (;;) {
  await store.write(content);
  process.send?.('written');
}
