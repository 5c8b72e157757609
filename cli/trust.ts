/** How browsers come to trust a certificate authority and to ask a proxy, and how that is undone: for people, to read and to copy. */
export interface Trusted {
  /** As lists of browsers show it. */
  readonly title: string;
  /** Of its certificate. */
  readonly file: string;
  /** Where the gateway serves the file by which browsers choose the proxy, and that file itself as an address. */
  readonly pac: string;
  readonly pacData: string;
}

const NSS = 'sql:$HOME/.pki/nssdb';
const KEYCHAIN = '~/Library/Keychains/login.keychain-db';

export function trustText({ title, file: named, pac, pacData }: Trusted): string {
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

To ask the proxy for names, and for nothing else. It takes the place of a proxy that is set there now, and everything else goes out directly: do not use
it beside another one. (Another port or address of the gateway: give --full PORT and --address as the gateway has them.)

By a setting that says all, so that nobody else can; it holds while the gateway does not run, too:

  Chromium and Chrome on Linux, once:
    chromium --proxy-pac-url=${quoted(pacData)}
  Firefox: Settings, Network Settings, Automatic proxy configuration URL
    ${pacData}

By an address of the gateway, where a system takes nothing else. Not on a machine that others use too: while the gateway does not run, they could
listen there, and choose a proxy for everything:

  GNOME, for all programs:              gsettings set org.gnome.system.proxy autoconfig-url ${pac}
                                        gsettings set org.gnome.system.proxy mode auto
  macOS:                                networksetup -setautoproxyurl Wi-Fi ${pac}
  Windows:                              Settings, Network & internet, Proxy, Use setup script: ${pac}

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
