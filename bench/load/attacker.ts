/** The entry of the process that floods. It ends when the channel to the benchmark closes, whether that closed it or died. */
import { rmSync } from 'node:fs';
import { START } from './floods.ts';
import type { AttackerConfig } from './protocol.ts';

const config = JSON.parse(process.argv[2] ?? 'null') as AttackerConfig;

process.once('disconnect', leave);
if (!process.connected) leave();

function leave(): void {
  rmSync(config.directory, { recursive: true, force: true });
  process.exit(0);
}

await START[config.flood](config);
process.send?.('running', undefined, {}, () => {});
