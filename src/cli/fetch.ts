/** The process behind `walhold-fetch`. What it does is loaded after the place is known from which it loads faster. */
import { useCompiledCode } from './compiled-code.ts';

useCompiledCode(process.cwd());
await import('./fetch-hook.ts');
