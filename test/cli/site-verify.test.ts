/** What `relaymint site verify` and `repair` tell people. */
import { describe, expect, it } from 'vitest';
import { repairedText } from '../../cli/commands/site-repair.ts';
import { verifiedText } from '../../cli/commands/site-verify.ts';
import type { KeeperReport, SiteVerified } from '../../app/roles/site-verify.ts';

const report: KeeperReport = {
  host: 'HostThatKeepsEverything',
  result: 'keeps',
  leaving: false,
  asked: 31,
  delivered: 31,
  missing: 0,
  bytes: 31 * 1024 * 1024,
  millis: 1_240,
  cost: '310000',
};
const verified: SiteVerified = {
  name: 'demo.web3',
  cid: 'bafkqaaa',
  blocks: 500,
  unread: 0,
  list: 'data folder',
  samples: 30,
  wanted: 2,
  keeping: 1,
  hosts: [
    report,
    {
      ...report,
      host: 'HostThatLies',
      result: 'lacks',
      delivered: 0,
      missing: 31,
      bytes: 0,
      cost: '12',
      why: { code: 'CONTENT_NOT_FOUND', message: 'The block is not there.' },
    },
    { ...report, host: 'HostThatGoes', leaving: true },
  ],
  unasked: 0,
  cost: '620012',
};

describe('the text of a check', () => {
  it('has a line for each host, how sure it is, and what it cost', () => {
    expect(verifiedText(verified)).toBe(
      [
        'demo.web3, content bafkqaaa: 1 host of 2 wanted keeps it.',
        'HOST                     WHAT                    BLOCKS     BYTES   TIME   CREDITS',
        'HostThatKeepsEverything  keeps it              31 of 31  31.0 MiB  1.2 s      0.31',
        'HostThatLies             lacks blocks           0 of 31       0 B  1.2 s  0.000012  The block is not there.',
        'HostThatGoes             keeps it, is leaving  31 of 31  31.0 MiB  1.2 s      0.31',
        'Of the hosts that lack a tenth of the 500 blocks, 4.2 % pass at most. Asking cost 0.620012 credits.',
      ].join('\n'),
    );
  });

  it('says when nobody claims the name, when all blocks were asked for, and what is not known', () => {
    expect(verifiedText({ ...verified, hosts: [], keeping: 0 })).toContain('No host says that it keeps the name.');
    const text = verifiedText({ ...verified, blocks: 30, unread: 2, unasked: 1 });
    expect(text).toContain('Each was asked for all blocks.');
    expect(text).toContain('2 blocks that no host delivers: what is below is not known.');
    expect(text).toContain('Hosts that claim it and were not asked: 1.');
  });

  it('of a repair says what was sent, from where, and what is still missing', () => {
    const { keeping: _keeping, ...rest } = verified;
    const sent = { sentBlocks: 10, sentBytes: 2048, source: 'hosts' as const };
    const text = repairedText({ ...rest, before: ['a'], keeping: ['a', 'b'], wanted: 3, ...sent });
    expect(text).toContain(
      'demo.web3: 2 hosts of 3 wanted keep it, 1 did before. 2.0 KiB were sent, from what a host delivered.',
    );
    expect(text).toContain('Do it again when there are more hosts');
    const refused = { code: 'STORAGE_FULL', message: 'No room.' };
    const full = { ...rest, hosts: [{ ...report, result: 'lacks' as const, refused }] };
    expect(repairedText({ ...full, before: [], keeping: [], ...sent })).toContain('It did not take it: No room.');
    const nothing = repairedText({ ...rest, before: ['a'], keeping: ['a'], wanted: 1, ...sent, source: null });
    expect(nothing).toContain('1 host of 1 wanted keeps it, 1 did before. Nothing had to be sent.');
  });
});
