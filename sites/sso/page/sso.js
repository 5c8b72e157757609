// Finds wallets by the Wallet Standard, lets one sign, and sends the form that is also there for people without a wallet in the browser.

const SIGN_IN = 'solana:signIn';
const SIGN_MESSAGE = 'solana:signMessage';
const SIGN_TRANSACTION = 'solana:signTransaction';
const CONNECT = 'standard:connect';
/** Where the one signature of a transaction stands, behind the number of signatures. */
const SIGNATURE_AT = [1, 65];
/** A challenge that old may be over before the wallet has answered. */
const STALE_MILLIS = 4 * 60_000;

const here = document.getElementById('here');
const list = document.getElementById('wallets');
const looking = document.getElementById('looking');
const said = document.getElementById('said');
const profile = document.getElementById('profile');
const hardware = document.getElementById('hardware');
const form = document.getElementById('answering');
const challenge = JSON.parse(here.dataset.challenge);
/** The page asks for a text of its own to be signed, and signs nobody in. */
const isPermit = here.dataset.text !== undefined;
const wallets = new Set();
/** Where the page of this machine's wallet keeps its token. */
const OWN_KEPT_AS = 'relaymint-wallet';
let own;

here.hidden = false;

/** Fields in the order in which Sign-In-With-Solana writes them; or what else the page asks to be signed. */
function textFor(address) {
  if (isPermit) return here.dataset.text.replace('{wallet}', address);
  return [
    `${challenge.domain} wants you to sign in with your Solana account:`,
    address,
    '',
    challenge.statement,
    '',
    `URI: ${challenge.uri}`,
    `Version: ${challenge.version}`,
    `Chain ID: ${challenge.chainId}`,
    `Nonce: ${challenge.nonce}`,
    `Issued At: ${challenge.issuedAt}`,
    `Expiration Time: ${challenge.expirationTime}`,
    `Request ID: ${challenge.requestId}`,
  ].join('\n');
}

function base64url(bytes) {
  const text = btoa(String.fromCharCode(...bytes));
  return text.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

function say(text) {
  said.textContent = text;
}

function canSign(wallet) {
  const ways = !isPermit ? [SIGN_IN, SIGN_MESSAGE, SIGN_TRANSACTION] : [SIGN_MESSAGE, SIGN_TRANSACTION];
  return ways.some((feature) => feature in wallet.features);
}

function register(...added) {
  for (const wallet of added) {
    if (wallets.has(wallet) || !canSign(wallet)) continue;
    wallets.add(wallet);
    looking.hidden = true;
    list.append(choiceOf(wallet));
  }
  return () => {};
}

function choiceOf(wallet, note) {
  const item = document.createElement('li');
  const button = document.createElement('button');
  button.type = 'button';
  // An icon from elsewhere would tell somebody that a person signs in here.
  if (/^data:image\/(svg\+xml|webp|png|gif);base64,/.test(wallet.icon ?? '')) {
    const icon = document.createElement('img');
    icon.src = wallet.icon;
    icon.alt = '';
    button.append(icon);
  }
  button.append(String(wallet.name).slice(0, 40));
  button.addEventListener('click', () => void signIn(wallet, button));
  item.append(button);
  if (note !== undefined) {
    note.id = 'own-note';
    button.setAttribute('aria-describedby', note.id);
    item.append(note);
  }
  return item;
}

async function signIn(wallet, button) {
  if (Date.now() - Date.parse(challenge.issuedAt) > STALE_MILLIS) {
    location.reload();
    return;
  }
  say('');
  button.disabled = true;
  try {
    const { address, signature } = await signatureOf(wallet, button);
    if (address === undefined) return;
    const name = profile?.value.trim().toLowerCase() ?? '';
    const answer = {
      nonce: challenge.nonce,
      address,
      signature: base64url(signature),
      ...(name !== '' && { profile: name }),
    };
    form.elements.answer.value = base64url(new TextEncoder().encode(JSON.stringify(answer)));
    form.submit();
  } catch (error) {
    say(`${wallet.name} did not sign: ${error?.message ?? 'it says no more'}`);
  } finally {
    button.disabled = false;
  }
}

async function signatureOf(wallet, button) {
  if (wallet.sign !== undefined) return await wallet.sign();
  const { features } = wallet;
  const onlyTransactions = !(SIGN_MESSAGE in features) && (isPermit || !(SIGN_IN in features));
  const asTransaction = SIGN_TRANSACTION in features && (hardware.checked || onlyTransactions);
  if (SIGN_IN in features && !asTransaction && !isPermit) {
    const [output] = await features[SIGN_IN].signIn(challenge);
    return { address: output.account.address, signature: output.signature };
  }
  // Two steps, and browsers want a click for each.
  if (wallet.accounts.length === 0) {
    await features[CONNECT].connect();
    if (navigator.userActivation !== undefined && !navigator.userActivation.isActive) {
      say(`${wallet.name} is connected. Press the button again to sign.`);
      button.disabled = false;
      button.focus();
      return {};
    }
  }
  const [account] = wallet.accounts;
  if (account === undefined) throw new Error('it shows no account');
  const { address } = account;
  if (asTransaction) {
    const transaction = await transactionFor(address);
    const [{ signedTransaction }] = await features[SIGN_TRANSACTION].signTransaction({ account, transaction });
    return { address, signature: signedTransaction.subarray(...SIGNATURE_AT) };
  }
  // Such wallets sign any text: the page has to be the one that people trust.
  const message = new TextEncoder().encode(textFor(address));
  const [{ signature }] = await features[SIGN_MESSAGE].signMessage({ account, message });
  return { address, signature };
}

async function transactionFor(address) {
  const response = await fetch(`${here.dataset.path}/transaction`, {
    method: 'POST',
    headers: { Accept: 'application/json', 'Content-Type': 'application/json' },
    body: JSON.stringify({ nonce: challenge.nonce, address }),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error_description);
  return Uint8Array.from(atob(answer.transaction), (character) => character.charCodeAt(0));
}

async function askOwn(what, body) {
  const response = await fetch(`/wallet/${what}`, {
    method: 'POST',
    headers: {
      Accept: 'application/json',
      'Content-Type': 'application/json',
      Authorization: `Bearer ${localStorage.getItem(OWN_KEPT_AS)}`,
    },
    body: JSON.stringify(body),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error_description);
  return answer;
}

/** It signs what the issuer itself makes of that, not what this page says it is. */
async function signWithOwn() {
  const { requestId, nonce } = challenge;
  const asked = isPermit ? askOwn('permit', { nonce }) : askOwn('sign-in', { requestId, nonce });
  const { address, signature } = await asked;
  const bytes = atob(signature.replaceAll('-', '+').replaceAll('_', '/'));
  return { address, signature: Uint8Array.from(bytes, (character) => character.charCodeAt(0)) };
}

/** A wallet of this machine, where this browser has the link to it. */
async function showOwn() {
  own?.remove();
  if (here.dataset.own !== 'true' || localStorage.getItem(OWN_KEPT_AS) === null) return;
  try {
    const { address } = await askOwn('holder', {});
    const note = document.createElement('p');
    note.className = 'note';
    const short = `${address.slice(0, 4)}…${address.slice(-4)}`;
    note.textContent = `${short}: its key is in the files of this machine; anybody who can read them can sign in as you.`;
    own?.remove();
    own = choiceOf({ name: 'Wallet of this machine', sign: signWithOwn }, note);
    list.append(own);
    looking.hidden = true;
    say('');
  } catch (error) {
    say(`Wallet of this machine: ${error.message}`);
  }
}

// Its page may be opened or forgotten in another tab.
window.addEventListener('storage', ({ key }) => {
  if (key === OWN_KEPT_AS) void showOwn();
});
void showOwn();
window.addEventListener('wallet-standard:register-wallet', ({ detail }) => detail({ register }));
window.dispatchEvent(new CustomEvent('wallet-standard:app-ready', { detail: { register } }));
