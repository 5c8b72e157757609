/**
 * Puts the program on a cluster in the loader's own steps: a buffer, its chunks, the deployment, the bank. Each
 * step first checks what is there, so that an interrupted deployment continues where it stopped and a finished one
 * is left as it is.
 */
import { PublicKey, SystemProgram } from '@solana/web3.js';
import type { TransactionInstruction } from '@solana/web3.js';
import { assertNotAborted } from '../../../core/abort.ts';
import { RelaymintError } from '../../../core/errors.ts';
import { formatSol, lamports } from '../../../core/units.ts';
import type { Lamports } from '../../../core/units.ts';
import { equalBytes } from '../../../core/codec.ts';
import type { LedgerAddress } from '../../../core/ids.ts';
import type { TransactionResult } from '../../contract.ts';
import { walletAddress } from '../keys.ts';
import type { WalletKey } from '../keys.ts';
import type { SolanaLedger } from '../ledger.ts';
import { bankAddress, decodeBank, initialize } from '../program/index.ts';
import type { BankAccount } from '../program/index.ts';
import { toAddress } from '../states.ts';
import type { Submitter } from '../submitter.ts';
import { clusterTagOf, readCluster } from './cluster.ts';
import { readDeployed } from './deployed.ts';
import type { DeployedProgram } from './deployed.ts';
import {
  CHUNK_BYTES,
  LOADER,
  PROGRAM_BYTES,
  closeBuffer,
  decodeBuffer,
  deployBuffer,
  giveUpAuthority,
  initializeBuffer,
  isCodeOf,
  writeBuffer,
} from './loader.ts';
import { accountSizes, chunkCount, planDeployment } from './plan.ts';
import type { DeploymentPlan, DeploymentState } from './plan.ts';

export interface DeploymentOptions {
  /** Its program id is the address of `program`. */
  readonly ledger: SolanaLedger;
  /** Pays, and becomes the upgrade authority and the bank's admin. */
  readonly wallet: WalletKey;
  /** The key of the program's address. */
  readonly program: WalletKey;
  /** Where the code is gathered; the same key again continues an interrupted deployment. */
  readonly buffer: WalletKey;
  /** The bytes of relaymint.so. */
  readonly file: Uint8Array;
  readonly bank: {
    /** Base units of credit for one lamport. */
    readonly unitsPerLamport: bigint;
    readonly challengeSeconds: bigint;
  };
  /** Admin that an existing bank may have besides the wallet; 'nobody' if it was given up. */
  readonly acceptAdmin?: LedgerAddress | 'nobody' | undefined;
  /** Gives up the upgrade authority at the end. */
  readonly final: boolean;
}

export type DeploymentStep = 'buffer' | 'write' | 'deploy' | 'initialize' | 'finalize' | 'verify';

const DEPLOYING = 'The deployment';
const AGAIN = 'Run it again: it goes on where it stopped.';

export interface DeploymentRun {
  readonly signal: AbortSignal;
  /** Called when a step begins. */
  readonly onStep?: (step: DeploymentStep) => void;
  /** Bytes of the code that are on the chain. */
  readonly onWritten?: (bytes: number) => void;
}

export interface DeploymentResult {
  readonly programId: LedgerAddress;
  readonly upgradeAuthority: LedgerAddress | undefined;
  readonly bank: LedgerAddress;
  readonly admin: LedgerAddress;
  readonly unitsPerLamport: bigint;
  readonly challengeSeconds: bigint;
  /** In the order in which they were confirmed; empty when everything was there. */
  readonly transactions: readonly TransactionResult[];
}

/** Write transactions under way at once: enough to hide the cluster's latency, few enough for a public RPC node. */
const PARALLEL_WRITES = 8;
const SLOT_POLL_MILLIS = 200;

export class Deployment {
  readonly #options: DeploymentOptions;
  readonly #submitter: Submitter;
  readonly #transactions: TransactionResult[] = [];

  /** Nothing is sent yet. */
  constructor(options: DeploymentOptions) {
    if (options.ledger.programId !== walletAddress(options.program)) {
      throw new TypeError('the ledger was opened for another program than the one to deploy');
    }
    this.#options = options;
    this.#submitter = options.ledger.submitter;
  }

  /**
   * What is there and what the rest costs.
   * @throws RelaymintError LEDGER_REJECTED when another program is at the address, or somebody else's buffer is in the way.
   */
  async plan(): Promise<DeploymentPlan> {
    const { ledger, file } = this.#options;
    const rent = await Promise.all(
      Object.entries(accountSizes(file.length)).map(async ([kind, bytes]) => {
        const locked = await ledger.rpc.ask((connection) => connection.getMinimumBalanceForRentExemption(bytes));
        return [kind, BigInt(locked)] as const;
      }),
    );
    return planDeployment(
      await this.#state(),
      file.length,
      Object.fromEntries(rent) as Parameters<typeof planDeployment>[2],
    );
  }

  /** Does what `plan` says. @throws RelaymintError INSUFFICIENT_FUNDS before anything is sent; as `plan`; ABORTED. */
  async run(
    plan: DeploymentPlan,
    { signal, onStep = () => {}, onWritten = () => {} }: DeploymentRun,
  ): Promise<DeploymentResult> {
    assertNotAborted(signal, DEPLOYING, AGAIN);
    await this.#requireFunds(plan.neededLamports);
    const { ledger, file, bank, final } = this.#options;
    const { program } = ledger;
    if (plan.buffer === 'unusable' || (plan.program === 'deployed' && plan.buffer !== 'missing')) {
      onStep('buffer');
      await this.#send([closeBuffer(this.#buffer, this.#owner)]);
    }
    if (plan.program === 'missing') {
      if (plan.buffer !== 'usable') {
        onStep('buffer');
        await this.#createBuffer(file.length);
      }
      onStep('write');
      await this.#writeChunks(plan, signal, onWritten);
      assertNotAborted(signal, DEPLOYING, AGAIN);
      onStep('deploy');
      await this.#deploy();
    }
    const deployed = await this.#requireDeployed();
    await this.#slotAfter(deployed.slot, signal);
    if (plan.bank === 'missing') {
      onStep('initialize');
      const { genesisHash } = await readCluster(ledger);
      const clusterTag = clusterTagOf(genesisHash);
      await this.#send([initialize(program, { admin: this.#owner, clusterTag, ...bank })]);
    }
    onStep('verify');
    const found = await this.#verifiedBank(plan);
    if (final && deployed.upgradeAuthority !== undefined) {
      onStep('finalize');
      await this.#send([giveUpAuthority(program, this.#owner)]);
    }
    const { upgradeAuthority } = await this.#requireDeployed();
    return {
      programId: ledger.programId,
      upgradeAuthority,
      bank: toAddress(bankAddress(program)),
      admin: toAddress(found.admin),
      unitsPerLamport: found.unitsPerLamport,
      challengeSeconds: found.challengeSeconds,
      transactions: this.#transactions,
    };
  }

  get #owner(): PublicKey {
    return this.#options.wallet.publicKey;
  }

  get #buffer(): PublicKey {
    return this.#options.buffer.publicKey;
  }

  async #state(): Promise<DeploymentState> {
    const { ledger, file, final } = this.#options;
    const deployed = await readDeployed(ledger);
    if (deployed !== undefined) this.#requireOurs(deployed);
    if (
      final &&
      deployed?.upgradeAuthority !== undefined &&
      deployed.upgradeAuthority !== walletAddress(this.#options.wallet)
    ) {
      throw new RelaymintError('LEDGER_REJECTED', `Only ${deployed.upgradeAuthority} can make the program final.`, {
        remedy: 'Use its wallet, or leave out --final.',
      });
    }
    const [bank] = await ledger.accounts([bankAddress(ledger.program)]);
    const initialized = bank?.owner.equals(ledger.program) === true;
    if (deployed !== undefined && !initialized && deployed.upgradeAuthority !== walletAddress(this.#options.wallet)) {
      const who = deployed.upgradeAuthority ?? 'Nobody';
      throw new RelaymintError(
        'LEDGER_REJECTED',
        `${who} can initialize the bank: only the upgrade authority of the program may.`,
        {
          remedy:
            deployed.upgradeAuthority === undefined
              ? 'The program was made final without a bank: deploy it again with another --program-key.'
              : 'Use its wallet, or deploy at another address with another --program-key.',
        },
      );
    }
    const code = await this.#bufferCode();
    const all = Array.from({ length: chunkCount(file.length) }, (_, index) => index);
    const usable = code?.length === file.length;
    return {
      program: deployed === undefined ? 'missing' : 'deployed',
      bank: initialized ? 'initialized' : 'missing',
      buffer: code === undefined ? 'missing' : usable ? 'usable' : 'unusable',
      missingChunks: usable ? all.filter((index) => !equalBytes(chunkOf(code, index), chunkOf(file, index))) : all,
      finalize: final && (deployed === undefined || deployed.upgradeAuthority !== undefined),
    };
  }

  /** What the buffer holds; undefined when there is none. */
  async #bufferCode(): Promise<Uint8Array | undefined> {
    const [account] = await this.#options.ledger.accounts([this.#buffer]);
    if (account === undefined) return undefined;
    const buffer = account.owner.equals(LOADER) ? decodeBuffer(account.data) : undefined;
    if (buffer?.authority?.equals(this.#owner) === true) return buffer.code;
    throw new RelaymintError('LEDGER_REJECTED', `The buffer ${this.#buffer.toBase58()} belongs to another wallet.`, {
      remedy: 'Continue with the wallet that began the deployment, or move the key file of the buffer away.',
    });
  }

  async #createBuffer(codeBytes: number): Promise<void> {
    const { ledger, buffer } = this.#options;
    const space = accountSizes(codeBytes).buffer;
    const rent = await ledger.rpc.ask((connection) => connection.getMinimumBalanceForRentExemption(space));
    await this.#send(
      [
        SystemProgram.createAccount({
          fromPubkey: this.#owner,
          newAccountPubkey: this.#buffer,
          lamports: rent,
          space,
          programId: LOADER,
        }),
        initializeBuffer(this.#buffer, this.#owner),
      ],
      buffer,
    );
  }

  /** Several at once, each worker taking the next that is missing. The first failure ends all of them. */
  async #writeChunks(plan: DeploymentPlan, signal: AbortSignal, onWritten: (bytes: number) => void): Promise<void> {
    const { file } = this.#options;
    const todo = plan.missingChunks.toReversed();
    let written = file.length - todo.reduce((sum, index) => sum + chunkOf(file, index).length, 0);
    onWritten(written);
    const failed = new AbortController();
    const worker = async (): Promise<void> => {
      for (let index = todo.pop(); index !== undefined; index = todo.pop()) {
        assertNotAborted(signal, DEPLOYING, AGAIN);
        if (failed.signal.aborted) return;
        const chunk = chunkOf(file, index);
        try {
          await this.#send([writeBuffer(this.#buffer, this.#owner, index * CHUNK_BYTES, chunk)]);
        } catch (error) {
          failed.abort();
          throw error;
        }
        written += chunk.length;
        onWritten(written);
      }
    };
    const ended = await Promise.allSettled(Array.from({ length: PARALLEL_WRITES }, worker));
    for (const end of ended) if (end.status === 'rejected') throw end.reason;
  }

  async #deploy(): Promise<void> {
    const { ledger, program, file } = this.#options;
    const rent = await ledger.rpc.ask((connection) => connection.getMinimumBalanceForRentExemption(PROGRAM_BYTES));
    await this.#send(
      [
        SystemProgram.createAccount({
          fromPubkey: this.#owner,
          newAccountPubkey: program.publicKey,
          lamports: rent,
          space: PROGRAM_BYTES,
          programId: LOADER,
        }),
        deployBuffer({ payer: this.#owner, program: program.publicKey, buffer: this.#buffer }, file.length),
      ],
      program,
    );
  }

  /** A program can be called in the slots after the one in which it was deployed. */
  async #slotAfter(slot: bigint, signal: AbortSignal): Promise<void> {
    const { rpc } = this.#options.ledger;
    while (BigInt(await rpc.ask((connection) => connection.getSlot())) <= slot)
      await rpc.wait(SLOT_POLL_MILLIS, signal);
  }

  async #requireDeployed(): Promise<DeployedProgram> {
    const { ledger } = this.#options;
    const deployed = await readDeployed(ledger);
    if (deployed !== undefined) return this.#requireOurs(deployed);
    throw new RelaymintError('LEDGER_REJECTED', `The program ${ledger.programId} is gone.`, {
      remedy: 'Run this again.',
    });
  }

  #requireOurs(deployed: DeployedProgram): DeployedProgram {
    if (isCodeOf(deployed.code, this.#options.file)) return deployed;
    throw new RelaymintError(
      'LEDGER_REJECTED',
      `The code at ${this.#options.ledger.programId} is not the one of this release.`,
      {
        remedy: 'Deploy at another address with another --program-key.',
      },
    );
  }

  /** Only the upgrade authority could initialize the bank; a bank that was there before must be what was asked for all the same. */
  async #verifiedBank(plan: DeploymentPlan): Promise<BankAccount> {
    const { ledger, bank: asked } = this.#options;
    const [info] = await ledger.accounts([bankAddress(ledger.program)]);
    const bank = info === undefined ? undefined : decodeBank(info.data);
    if (bank === undefined) throw notAsked('it is gone');
    if (!bank.admin.equals(this.#owner) && !this.#accepts(bank.admin)) {
      const admin = bank.admin.equals(PublicKey.default) ? 'nobody' : bank.admin.toBase58();
      throw notAsked(`its admin is ${admin}`, `If you handed it over, add --accept-admin ${admin}. Otherwise d`);
    }
    const asAsked = bank.unitsPerLamport === asked.unitsPerLamport && bank.challengeSeconds === asked.challengeSeconds;
    if (plan.bank === 'missing' && !asAsked) throw notAsked('price or challenge period differ');
    return bank;
  }

  #accepts(admin: PublicKey): boolean {
    const { acceptAdmin } = this.#options;
    if (acceptAdmin === undefined) return false;
    return acceptAdmin === 'nobody' ? admin.equals(PublicKey.default) : admin.toBase58() === acceptAdmin;
  }

  async #requireFunds(needed: Lamports): Promise<void> {
    const { lamports: held } = await this.#options.ledger.balances(walletAddress(this.#options.wallet));
    if (held >= needed) return;
    throw new RelaymintError(
      'INSUFFICIENT_FUNDS',
      `The wallet has ${formatSol(held)} SOL; ${formatSol(needed)} are needed.`,
      {
        remedy: `Send it ${formatSol(lamports(needed - held))} SOL more.`,
        details: { has: String(held), needs: String(needed) },
      },
    );
  }

  async #send(instructions: readonly TransactionInstruction[], ...others: readonly WalletKey[]): Promise<void> {
    this.#transactions.push(await this.#submitter.run(instructions, [this.#options.wallet, ...others]));
  }
}

function chunkOf(code: Uint8Array, index: number): Uint8Array {
  return code.subarray(index * CHUNK_BYTES, (index + 1) * CHUNK_BYTES);
}

function notAsked(why: string, otherwise = 'D'): RelaymintError {
  return new RelaymintError('LEDGER_REJECTED', `The bank is not the one you asked for: ${why}.`, {
    remedy: `${otherwise}o not use this program: deploy it again with another --program-key.`,
  });
}
