/** Profiles: who somebody is under a `.sso` name, signed, and whether that one may say so. */
export type {
  BoundWallet,
  Profile,
  ProfileHolder,
  ProfileLink,
  SignedProfile,
  WalletConsent,
  WalletStatement,
} from './contract.ts';
export { decodeProfile, profileInvalid, profileMessage, signProfile } from './block.ts';
export { checkProfile, reservedIn, type CheckOptions } from './check.ts';
export { bindWallet, consentMessage, consentText, parseConsent, signConsent } from './consent.ts';
export { payoutOf, profileJson, profileJsonSchema, walletsOf, type ProfileJson } from './json.ts';
export { isProfilePage, profilePage } from './page.ts';
export { createProfiles, type FoundProfile, type Profiles } from './profiles.ts';
export { PROFILE_PATH, profileIn } from './read.ts';
