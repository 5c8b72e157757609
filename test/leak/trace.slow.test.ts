/** The leak test is only worth something if it sees leaks: every way out of Node is taken once, on purpose. */
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { leaks, parseCall, trace, type SocketCall } from './trace.ts';

/** Each is a whole program. Nothing of it leaves the machine: there is no network where it runs. */
const PLANTED: readonly { readonly what: string; readonly program: string; readonly seen: Partial<SocketCall> }[] = [
  {
    what: 'a TCP connection',
    program: `require('net').connect(81, '192.0.2.1').on('error', () => {})`,
    seen: { call: 'connect', family: 'inet', target: '192.0.2.1:81' },
  },
  {
    what: 'a TCP connection to this machine',
    program: `require('net').connect(81, '127.0.0.1').on('error', () => {})`,
    seen: { call: 'connect', family: 'inet', target: '127.0.0.1:81' },
  },
  {
    what: 'a TCP connection over IPv6',
    program: `require('net').connect(81, '2001:db8::1').on('error', () => {})`,
    seen: { call: 'connect', family: 'inet6', target: '[2001:db8::1]:81' },
  },
  {
    what: 'fetch',
    program: `fetch('http://192.0.2.1:82/').catch(() => {})`,
    seen: { call: 'connect', family: 'inet', target: '192.0.2.1:82' },
  },
  {
    what: "a name asked of the system's resolver",
    program: `require('dns').lookup('leak.example', () => {})`,
    seen: { call: 'connect', family: 'inet', target: '192.0.2.53:53' },
  },
  {
    what: "a name asked of Node's own resolver",
    program: `const r = new (require('dns').Resolver)({ timeout: 50, tries: 1 }); r.setServers(['192.0.2.53']); r.resolve4('leak.example', () => {})`,
    seen: { call: 'connect', family: 'inet', target: '192.0.2.53:53' },
  },
  {
    what: 'a datagram',
    program: `const u = require('dgram').createSocket('udp4'); u.send('x', 53, '192.0.2.1', () => u.close())`,
    seen: { call: 'sendmsg', family: 'inet', target: '192.0.2.1:53' },
  },
  {
    what: 'another unix socket',
    program: `require('net').connect('/run/other.sock').on('error', () => {})`,
    seen: { call: 'connect', family: 'unix', target: '/run/other.sock' },
  },
  {
    what: 'a port that is open to all',
    program: `const s = require('net').createServer().listen(0, '0.0.0.0', () => s.close())`,
    seen: { call: 'bind', family: 'inet', target: '0.0.0.0:0' },
  },
  {
    what: 'a worker thread',
    program: `new (require('worker_threads').Worker)("require('net').connect(83, '192.0.2.1').on('error', () => {})", { eval: true })`,
    seen: { call: 'connect', family: 'inet', target: '192.0.2.1:83' },
  },
  {
    what: 'a child process',
    program: `require('child_process').spawn(process.execPath, ['-e', "require('net').connect(84, '192.0.2.1').on('error', () => {})"])`,
    seen: { call: 'connect', family: 'inet', target: '192.0.2.1:84' },
  },
];

const PROXY = '/run/tor/socks';

/** Runs a program without any network, with a name server that the machine's own configuration does not decide. */
async function callsOf(program: string): Promise<SocketCall[]> {
  const isolated = 'mount --bind "$1" /etc/resolv.conf && exec "$2" -e "$3"';
  const resolver = `${import.meta.dirname}/resolv.conf`;
  const inside = ['sh', '-c', isolated, 'sh', resolver, process.execPath, program];
  await using traced = await trace(['unshare', '--net', '--mount', ...inside]);
  await once(traced.child, 'close');
  expect(traced.child.exitCode).toBe(0);
  return traced.calls();
}

describe('the leak test', () => {
  it.each(PLANTED)('sees $what', async ({ program, seen }) => {
    const found = leaks(await callsOf(program), { connect: [PROXY], listen: true });
    expect(found).toContainEqual(expect.objectContaining(seen));
  });

  it('says nothing about what is allowed', async () => {
    const program = `
      const net = require('net');
      net.connect('${PROXY}').on('error', () => {});
      for (const place of [{ host: '127.0.0.1', port: 0 }, { path: '/tmp/relaymint-leak-test-' + process.pid }]) {
        const server = net.createServer().listen(place, () => server.close());
      }`;
    const calls = await callsOf(program);
    expect(calls.map(({ call }) => call)).toEqual(expect.arrayContaining(['connect', 'bind']));
    expect(leaks(calls, { connect: [PROXY], listen: true })).toEqual([]);
    expect(
      leaks(calls, { connect: [], listen: false })
        .map(({ call }) => call)
        .sort(),
    ).toEqual(['bind', 'bind', 'connect']);
  });

  it('reads every form of address that strace writes', () => {
    const lines = [
      ['connect(3, {sa_family=AF_UNIX, sun_path=@"abstract"}, 12) = 0', 'unix', '@abstract'],
      [
        'sendto(3, "x", 1, 0, {sa_family=AF_INET, sin_port=htons(53), sin_addr=inet_addr("1.2.3.4")}, 16) = 1',
        'inet',
        '1.2.3.4:53',
      ],
      ['socket(AF_PACKET, SOCK_RAW, 768) = 4', 'packet', 'raw'],
      ['io_uring_setup(32, {flags=0}) = 5', 'io_uring', ''],
    ] as const;
    for (const [line, family, target] of lines) expect(parseCall(line)).toMatchObject([{ family, target }]);
    expect(parseCall('sendto(18, "query", 30, 0, NULL, 0) = 30')).toEqual([]);
    expect(parseCall('+++ exited with 0 +++')).toEqual([]);
    expect(parseCall('connect(3, {sa_family=AF_VSOCK, svm_cid=0x2}, 16) = 0')).toMatchObject([{ family: 'vsock' }]);
  });
});
