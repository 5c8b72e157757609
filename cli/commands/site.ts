/** `relaymint site`: what publishers of sites work with. */
import type { Command } from 'commander';
import { siteCheckCommand } from './site-check.ts';
import { siteExportCommand } from './site-export.ts';
import { siteHistoryCommand } from './site-history.ts';
import { siteInitCommand } from './site-init.ts';
import { sitePackCommand } from './site-pack.ts';
import { sitePreviewCommand } from './site-preview.ts';
import { sitePublishCommand } from './site-publish.ts';
import { siteRevenueCommand } from './site-revenue.ts';
import { siteRepairCommand } from './site-repair.ts';
import { siteRollbackCommand } from './site-rollback.ts';
import { siteStatusCommand } from './site-status.ts';
import { siteUnpublishCommand } from './site-unpublish.ts';
import { siteVerifyCommand } from './site-verify.ts';

export function siteCommand(program: Command): void {
  const site = program
    .command('site')
    .summary('make, check, preview and publish sites, and go back')
    .description('Tools for publishers of sites: from a folder to a name, and what became of it.');
  siteInitCommand(site);
  siteCheckCommand(site);
  sitePreviewCommand(site);
  sitePackCommand(site);
  sitePublishCommand(site);
  siteStatusCommand(site);
  siteVerifyCommand(site);
  siteRepairCommand(site);
  siteExportCommand(site);
  siteHistoryCommand(site);
  siteRevenueCommand(site);
  siteRollbackCommand(site);
  siteUnpublishCommand(site);
}
