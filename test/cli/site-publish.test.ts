import { mkdir, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { sitePublishCommand } from '../../cli/commands/site-publish.ts';
import { temporaryFolder } from '../e2e/marketplace.ts';
import { run } from './program.ts';

const NOTHING = fileURLToPath(new URL('nothing-here', import.meta.url));

/** What the command line says, before anything is opened or registered. */
async function told(name: string, folder: string = NOTHING, ...more: string[]): Promise<string> {
  const program = new Command('relaymint').exitOverride();
  sitePublishCommand(program);
  let said = '';
  for (const command of program.commands) {
    command.exitOverride().configureOutput({ writeErr: (text) => (said += text) });
  }
  await program.parseAsync(['publish', folder, '--name', name, ...more], { from: 'user' }).catch((error: unknown) => {
    said += String(error);
  });
  return said;
}

describe('relaymint site publish --name', () => {
  it('refuses a name that no browser would open', async () => {
    expect(await told('xn-foo.web3')).toContain(
      'No browser would open xn-foo.web3: its address begins with "xn--". Choose a name that does not begin with "xn-".',
    );
  });

  it('refuses a name that the ledger would refuse', async () => {
    expect(await told('news.com')).toContain('must end in one of .web3');
  });

  it('goes on with any other', async () => {
    expect(await told('xna.web3')).toContain('nothing-here');
    expect(await told('xna.web3')).not.toContain('--name');
  });
});

describe('relaymint site publish --data', () => {
  it.each(['', 'keys', 'keys/of/mine'])('refuses to publish its own keys with the site: %s', async (inside) => {
    const site = await temporaryFolder();
    try {
      const data = path.join(site.path, inside);
      await mkdir(data, { recursive: true });
      const other = `${site.path}-link`;
      await symlink(site.path, other);
      for (const folder of [site.path, other]) {
        expect(await told('own.web3', folder, '--data', data)).toContain('with its keys, would be published too');
      }
      await rm(other);
      expect(await readdir(data)).not.toContain('wallet.json');
    } finally {
      await site[Symbol.asyncDispose]();
    }
  });

  it('takes a folder beside the site', async () => {
    const site = await temporaryFolder();
    try {
      const gone = 'http://127.0.0.1:1';
      const text = await told('own.web3', site.path, '--data', `${site.path}-keys`, '--ledger', gone, '--airdrop', '1');
      expect(text).toContain('does not answer');
    } finally {
      await rm(`${site.path}-keys`, { recursive: true, force: true });
      await site[Symbol.asyncDispose]();
    }
  });
});

describe('relaymint site publish --manifest', () => {
  const gone = ['--ledger', 'http://127.0.0.1:1', '--airdrop', '1'];

  async function toldWith(royalty: string, ...more: string[]): Promise<string> {
    const site = await temporaryFolder();
    const [file, data] = [`${site.path}.manifest.json`, `${site.path}-keys`];
    try {
      await writeFile(file, JSON.stringify({ creator: 'Ana', royalty }));
      return await told('own.web3', site.path, '--manifest', file, '--data', data, ...gone, ...more);
    } finally {
      await rm(file);
      await rm(data, { recursive: true, force: true });
      await site[Symbol.asyncDispose]();
    }
  }

  it('takes no other royalty beside it, and the same', async () => {
    expect(await toldWith('20%', '--royalty', '30%')).toMatch(/--royalty is 30%, and .*\.manifest\.json says 20%\./);
    expect(await toldWith('30%', '--royalty', '3000bps')).toContain('does not answer');
  });

  it('counts where the command says nothing, whatever its default is', async () => {
    expect(await toldWith('35%')).toContain('does not answer');
  });

  it('says so when one lies beside the folder and is not named', async () => {
    const site = await temporaryFolder();
    const [file, data] = [`${site.path}.manifest.json`, `${site.path}-keys`];
    try {
      await writeFile(file, '{}');
      const { stdout } = await run(['site', 'publish', site.path, '--name', 'own.web3', '--data', data, ...gone]);
      expect(stdout).toBe(`${file} lies beside it and was not used: it is with --manifest ${file}\n`);
    } finally {
      await rm(file);
      await rm(data, { recursive: true, force: true });
      await site[Symbol.asyncDispose]();
    }
  });
});

describe('relaymint site publish --posters', () => {
  it('goes on without ffmpeg, and says how to get it', async () => {
    const site = await temporaryFolder();
    const [empty, data] = [`${site.path}-empty`, `${site.path}-keys`];
    const gone = ['--data', data, '--ledger', 'http://127.0.0.1:1', '--airdrop', '1'];
    try {
      await mkdir(empty);
      await writeFile(path.join(site.path, 'a.webm'), 'none');
      const args = ['site', 'publish', site.path, '--name', 'own.web3', '--posters', ...gone];
      const { stdout, stderr } = await run(args, { env: { PATH: empty } });
      expect(stdout).toMatch(
        /^No posters were made\. The program ffmpeg is not installed\. .*apt-get install ffmpeg\n$/,
      );
      expect(stderr).toContain('does not answer');
    } finally {
      await rm(empty, { recursive: true });
      await rm(data, { recursive: true, force: true });
      await site[Symbol.asyncDispose]();
    }
  });
});
