/** Makes the elements of the SDK known to the page. */
import { defineElements } from './relaymint/elements.js';

defineElements();
