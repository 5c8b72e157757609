/** The model of the whole program: what a transaction must do, told before the virtual machine is asked. */
import * as bank from './bank.ts';
import type { Call, Label, Step } from './calls.ts';
import * as commitments from './commitments.ts';
import * as names from './names.ts';
import * as recovery from './recovery.ts';
import * as settlement from './settlement.ts';
import * as tills from './tills.ts';
import { runForeign } from './wallets.ts';
import { Refusal, World } from './world.ts';

/** A failed transaction: the step that failed and why. It changes nothing. */
export interface Failure {
  /** undefined: the whole transaction, after its last step. */
  readonly at: number | undefined;
  readonly reason: string;
}

export class Model {
  readonly world: World;
  readonly #keyOf: (label: Label) => Uint8Array;

  /** `keyOf`: the 32 bytes of a label, which a commitment's hash is made of. */
  constructor(rentPerByte: bigint, keyOf: (label: Label) => Uint8Array) {
    this.world = new World(rentPerByte);
    this.#keyOf = keyOf;
  }

  /** The clock never goes back. */
  pass(seconds: bigint, slots: bigint): void {
    this.world.time += seconds;
    this.world.slot += slots;
  }

  /** Plays the steps; what they change is a draft, to be kept or dropped. */
  draft(steps: readonly Step[]): Failure | undefined {
    const { world } = this;
    world.previous = undefined;
    for (const [at, step] of steps.entries()) {
      try {
        if ('foreign' in step) runForeign(world, step);
        else this.#run(step);
      } catch (error) {
        if (error instanceof Refusal) return { at, reason: error.message };
        throw error;
      }
      world.previous = step;
    }
    return this.#poor() ? { at: undefined, reason: 'InsufficientFundsForRent' } : undefined;
  }

  keep(): void {
    for (const table of this.world.tables) table.keep();
  }

  drop(): void {
    for (const table of this.world.tables) table.drop();
  }

  /** The runtime lets no address hold less than an account without data needs, unless it holds nothing. */
  #poor(): boolean {
    const { world } = this;
    return world.lamports.changed().some((label) => {
      const held = world.lamports.get(label) ?? 0n;
      return held > 0n && held < world.rent(0);
    });
  }

  #run(call: Call): void {
    const { world } = this;
    switch (call.instruction) {
      case 'initialize':
        return bank.initialize(world, call);
      case 'buy':
        return bank.buy(world, call);
      case 'redeem':
        return bank.redeem(world, call);
      case 'configure':
        return bank.configure(world, call);
      case 'collectFees':
        return bank.collectFees(world, call);
      case 'openTill':
        return tills.openTill(world, call);
      case 'growTill':
        return tills.growTill(world, call);
      case 'closeTill':
        return tills.closeTill(world, call);
      case 'setTillTerms':
        return tills.setTillTerms(world, call);
      case 'openChannel':
        return tills.openChannel(world, call);
      case 'topUp':
        return tills.topUp(world, call);
      case 'requestClose':
        return tills.requestClose(world, call);
      case 'closeChannel':
        return tills.closeChannel(world, call);
      case 'closeByPayee':
        return tills.closeByPayee(world, call);
      case 'returnOpening':
        return tills.returnOpening(world, call);
      case 'payClaim':
        return tills.payClaim(world, call);
      case 'withdraw':
        return tills.withdraw(world, call);
      case 'settle':
        return settlement.settle(world, call);
      case 'settleVerified':
        return settlement.settleVerified(world, call);
      case 'commitName':
        return commitments.commitName(world, call);
      case 'dropCommitment':
        return commitments.dropCommitment(world, call);
      case 'registerName': {
        const { salt, name } = call.args;
        return names.registerName(
          world,
          call,
          commitments.commitmentHash(this.#keyOf(call.accounts.owner), salt, name),
        );
      }
      case 'renewName':
        return names.renewName(world, call);
      case 'transferName':
        return names.transferName(world, call);
      case 'updateName':
        return names.updateName(world, call);
      case 'setRecovery':
        return recovery.setRecovery(world, call);
      case 'beginRecovery':
        return recovery.beginRecovery(world, call);
      case 'cancelRecovery':
        return recovery.cancelRecovery(world, call);
      case 'finishRecovery':
        return recovery.finishRecovery(world, call);
      default:
        return names.distributeName(world, call);
    }
  }
}
