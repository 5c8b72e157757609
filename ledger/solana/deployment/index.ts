/** Puts the program on a cluster, and reads what is deployed there. */
export { clusterTagOf, readCluster } from './cluster.ts';
export type { ClusterInfo } from './cluster.ts';
export { readDeployed } from './deployed.ts';
export type { DeployedProgram } from './deployed.ts';
export { Deployment } from './deployment.ts';
export type { DeploymentOptions, DeploymentResult, DeploymentRun, DeploymentStep } from './deployment.ts';
export { isCodeOf } from './loader.ts';
export type { DeploymentPlan } from './plan.ts';
