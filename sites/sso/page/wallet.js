// Takes the token of this machine's wallet from the link by which the page was opened, and keeps it for the sign-in pages of this issuer.

const KEPT_AS = 'relaymint-wallet';

const here = document.getElementById('here');
const said = document.getElementById('said');
const address = document.getElementById('address');

async function addressFor(token) {
  const response = await fetch('/wallet/holder', {
    method: 'POST',
    headers: { Accept: 'application/json', Authorization: `Bearer ${token}` },
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error_description);
  return answer.address;
}

async function show() {
  const given = location.hash.slice(1);
  // Neither the history nor a bookmark keeps it.
  if (given !== '') history.replaceState(null, '', location.pathname);
  const token = given === '' ? localStorage.getItem(KEPT_AS) : given;
  here.hidden = true;
  if (token === null) {
    said.textContent = 'This browser does not have it. Open the link that was printed when this issuer started.';
    return;
  }
  try {
    address.textContent = await addressFor(token);
    // A link of somebody else's does not take the place of one that counts.
    localStorage.setItem(KEPT_AS, token);
    said.textContent = '';
    here.hidden = false;
  } catch (error) {
    said.textContent = error.message;
  }
}

document.getElementById('forget').addEventListener('click', () => {
  localStorage.removeItem(KEPT_AS);
  here.hidden = true;
  said.textContent = 'This browser has forgotten it. The link that was printed brings it back.';
});
window.addEventListener('hashchange', () => void show());
void show();
