/** Which wallets are in the page: those that registered before it asked, and those that come later. */
import { featureOf, type StandardWallet, type Wallet } from './standard.ts';

const REGISTER = 'wallet-standard:register-wallet';
const APP_READY = 'wallet-standard:app-ready';
const MAX_NAME_CHARACTERS = 64;
/** Ten times what wallets have. */
const MAX_ICON_CHARACTERS = 262_144;
/** The page may be one that a wallet's rival fills with its own. */
const MAX_WALLETS = 64;
const ICON = /^data:image\/(?:svg\+xml|webp|png|gif|jpeg);base64,[A-Za-z0-9+/]+={0,2}$/;

type Listener = (wallets: readonly Wallet[]) => void;

/** What wallets are given, by the standard. */
interface Api {
  /** Each wallet once, however often it comes. @returns what takes them away again. */
  register(...wallets: readonly StandardWallet[]): () => void;
}

interface Registry {
  readonly known: Map<StandardWallet, Wallet>;
  readonly listeners: Set<Listener>;
}

let registry: Registry | undefined;

/** The wallets that are here now and can sign in, in the order in which they came. */
export function wallets(): readonly Wallet[] {
  return [...opened().known.values()];
}

/**
 * Calls `listener` with the wallets that are here, at once and whenever one comes or goes.
 * @returns what ends that
 */
export function onWallets(listener: Listener): () => void {
  const { listeners } = opened();
  const own: Listener = (now) => listener(now);
  listeners.add(own);
  listener(wallets());
  return () => void listeners.delete(own);
}

/** Listens from the first question on: being imported does nothing. */
function opened(): Registry {
  registry ??= open();
  return registry;
}

function open(): Registry {
  const known = new Map<StandardWallet, Wallet>();
  const listeners = new Set<Listener>();
  const tell = (): void => {
    const now = [...known.values()];
    for (const listener of Array.from(listeners)) listener(now);
  };
  const api: Api = Object.freeze({
    register(...came: readonly StandardWallet[]) {
      const added = came.filter((one) => known.size < MAX_WALLETS && !known.has(one) && add(known, one));
      if (added.length > 0) tell();
      return () => {
        const left = added.filter((one) => known.delete(one));
        if (left.length > 0) tell();
      };
    },
  });
  if (typeof window === 'object') {
    window.addEventListener(REGISTER, (event) => {
      const { detail } = event as CustomEvent<unknown>;
      try {
        if (typeof detail === 'function') detail(api);
      } catch {
        // A wallet that fails to register is not there; the page goes on.
      }
    });
    window.dispatchEvent(new CustomEvent(APP_READY, { detail: api }));
  }
  return { known, listeners };
}

function add(known: Map<StandardWallet, Wallet>, standard: StandardWallet): boolean {
  const wallet = described(standard);
  if (wallet !== undefined) known.set(standard, wallet);
  return wallet !== undefined;
}

/** undefined for what is no wallet, or none that can sign in. */
function described(standard: StandardWallet): Wallet | undefined {
  try {
    const signsIn = featureOf(standard, 'solana:signIn') !== undefined;
    const canSign = [featureOf(standard, 'standard:connect'), featureOf(standard, 'solana:signMessage')];
    const letters = Array.from(standard.name.replace(/[\p{C}\p{Z}]+/gu, ' ').trim());
    const name = letters.slice(0, MAX_NAME_CHARACTERS).join('');
    if (name === '' || !Array.isArray(standard.accounts) || (!signsIn && canSign.includes(undefined))) return undefined;
    return Object.freeze({ name, icon: iconOf(standard.icon), signsIn, standard });
  } catch {
    return undefined;
  }
}

function iconOf(icon: unknown): string | undefined {
  return typeof icon === 'string' && icon.length <= MAX_ICON_CHARACTERS && ICON.test(icon) ? icon : undefined;
}
