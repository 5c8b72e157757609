import { it } from 'vitest';
import { play } from './play.ts';
import { broken } from './strategy.ts';
import { payeeStrategies } from './strategies/payees.ts';
import { payerStrategies } from './strategies/payers.ts';
import { initiatorStrategies } from './strategies/initiators.ts';
const only = process.env['ONLY'];
for (const s of [...payeeStrategies, ...payerStrategies, ...initiatorStrategies]) {
  it.skipIf(only !== undefined && !s.name.includes(only))(s.name, async () => {
    const t = performance.now(); const c = process.cpuUsage();
    const row = await play(s, process.env['SEED'] ?? 'seed');
    const u = process.cpuUsage(c);
    console.log(JSON.stringify(row, (_k, v) => typeof v === 'bigint' ? String(v) : v), broken(row), Math.round(performance.now() - t), 'ms', Math.round((u.user + u.system) / 1000), 'cpu ms');
  }, 15_000);
}
