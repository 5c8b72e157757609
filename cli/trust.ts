/** How browsers come to trust a certificate authority and to ask a proxy, and how that is undone: for people, to read and to copy. */
import { DEFAULT_FULL_PORT } from '../app/config/index.ts';

export interface Trusted {
  /** As lists of browsers show it. */
  readonly title: string;
  /** Of its certificate. */
  readonly file: string;
}

const NSS = 'sql:$HOME/.pki/nssdb';
const PAC_URL = `http://localhost:${DEFAULT_FULL_PORT}/proxy.pac`;
const KEYCHAIN = '~/Library/Keychains/login.keychain-db';

export function trustText({ title, file: named }: Trusted): string {
  const file = quoted(named);
  return `To trust it (${file} is the certificate, which "relaymint ca export ${file}" writes):

  Chromium and Chrome on Linux (certutil is in libnss3-tools):
    mkdir -p ~/.pki/nssdb
    certutil -d ${NSS} -A -t C,, -n "${title}" -i ${file}
  Firefox, everywhere:
    Settings, Privacy & Security, View Certificates, Authorities, Import; tick "identify websites"
  macOS (Safari, Chrome):
    security add-trusted-cert -r trustRoot -p ssl -k ${KEYCHAIN} ${file}
  Windows (Chrome, Edge), for this user alone:
    certutil -user -addstore Root ${file}

To ask the proxy for names, and for nothing else (the gateway says the address when it starts with --full). It takes the place of a proxy that is
set there now, and everything else goes out directly: do not use it beside another one. Nor on a machine that others use too: while the gateway
does not run, they could listen at its address.

  Chromium and Chrome on Linux, once:   chromium --proxy-pac-url=${PAC_URL}
  GNOME, for all programs:              gsettings set org.gnome.system.proxy autoconfig-url ${PAC_URL}
                                        gsettings set org.gnome.system.proxy mode auto
  Firefox:                              Settings, Network Settings, Automatic proxy configuration URL
  macOS:                                networksetup -setautoproxyurl Wi-Fi ${PAC_URL}
  Windows:                              Settings, Network & internet, Proxy, Use setup script

${distrustText(title)}`;
}

export function distrustText(title: string): string {
  return `To undo it:

  Chromium and Chrome on Linux:
    certutil -d ${NSS} -D -n "${title}"
  Firefox:
    the same list of authorities: "${title}", Delete or Distrust; and Network Settings, as they were
  macOS:
    security delete-certificate -t -c "${title}" ${KEYCHAIN}
    networksetup -setautoproxystate Wi-Fi off
  Windows:
    certutil -user -delstore Root "${title}"
    and take the script out of the settings of the proxy
  GNOME:
    gsettings set org.gnome.system.proxy mode none   (or what it was before)`;
}

/** As a shell takes it. */
function quoted(file: string): string {
  return /^[\w./~-]+$/.test(file) ? file : `'${file.replaceAll("'", "'\\''")}'`;
}
