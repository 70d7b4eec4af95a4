/** Why a file, or a whole repository, did not get what `wal push` wanted to store. */
export interface PushFailure {
  /** `null`: the repository as a whole. */
  name: string | null;
  /** Its number; 0: the file itself could not be read or is not what its name says. */
  repository: number;
  message: string;
}
