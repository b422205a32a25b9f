/** Kubernetes' words in plain ones. */

const REASONS: Record<string, string> = {
  Pending: 'Waits for a place to run',
  ContainerCreating: 'Being made',
  PodInitializing: 'Being prepared',
  Running: 'Running, not ready yet',
  CrashLoopBackOff: 'Keeps crashing',
  Error: 'Ended with an error',
  Completed: 'Has ended',
  OOMKilled: 'Used too much memory',
  ErrImagePull: 'The image cannot be had',
  ImagePullBackOff: 'The image cannot be had',
  InvalidImageName: 'The image has a wrong name',
  ErrImageNeverPull: 'The image is not on this machine',
  CreateContainerConfigError: 'Its configuration is incomplete',
  CreateContainerError: 'It cannot start',
  RunContainerError: 'It cannot start',
  Terminating: 'Stopping',
}

/** How a pod is. */
export const podWords = (phase: string, ready: boolean): string =>
  ready && phase === 'Running' ? 'Ready' : (REASONS[phase] ?? phase)

/** The server writes messages as clauses; a page shows sentences. */
export const sentence = (clause: string): string => {
  if (clause === '') return ''
  const text = `${clause[0]?.toUpperCase()}${clause.slice(1)}`
  return /[.!?]$/.test(text) ? text : `${text}.`
}
