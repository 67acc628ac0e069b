// Speed of llama.cpp for one model, as a JSON object on stdout: node llama_cpp.mjs '{"model": …}'.
//
// Prompts are tokens by a formula. Tokens are chosen greedily and not looked at: the model goes on after its end token.
import {getLlama, LlamaLogLevel} from "node-llama-cpp";

const {model: modelPath, promptLens, batches, decodeFrom, newTokens, threads, gpu} = JSON.parse(process.argv[2]);
const llama = await getLlama({gpu: gpu ? "vulkan" : false, build: "never", logLevel: LlamaLogLevel.error, maxThreads: threads});
const model = await llama.loadModel({modelPath, gpuLayers: gpu ? "max" : 0});
const contextFor = (sequences, length) => model.createContext({
    sequences, threads, contextSize: length, batchSize: 512, flashAttention: "auto"
});

// Any tokens do, for speed.
const prompt = (length, seed) => Array.from({length}, (_, i) => (i * 7919 + seed * 104729) % 10000 + 1000);
const seconds = async (work) => {
    const begin = process.hrtime.bigint();
    await work();
    return Number(process.hrtime.bigint() - begin) / 1e9;
};
const results = [];

for (const length of promptLens) {
    const context = await contextFor(1, length + 16);
    const sequence = context.getSequence();
    const first = () => sequence.evaluate(prompt(length, 1), {temperature: 0, yieldEogToken: true}).next();
    // Once before the clock runs, as cb-lab does.
    await first();
    await sequence.clearHistory();
    results.push({case: `prefill ${length}`, tokensPerSecond: length / await seconds(first)});
    await context.dispose();
}

// One token from each sequence, then the clock starts: the prompts are not counted.
async function decode(sequence, seed, started) {
    const tokens = sequence.evaluate(prompt(decodeFrom, seed), {temperature: 0, yieldEogToken: true});
    await tokens.next();
    await started();
    for (let i = 0; i < newTokens; i++) {
        if ((await tokens.next()).done) throw new Error("the sequence ended");
    }
}

for (const batch of batches) {
    const context = await contextFor(batch, decodeFrom + newTokens + 16);
    const sequences = Array.from({length: batch}, () => context.getSequence());
    let waiting = batch, release, begin;
    const all = new Promise((resolve) => { release = resolve; });
    const started = () => {
        if (--waiting === 0) {
            begin = process.hrtime.bigint();
            release();
        }
        return all;
    };
    await Promise.all(sequences.map((sequence, i) => decode(sequence, i, started)));
    const took = Number(process.hrtime.bigint() - begin) / 1e9;
    results.push({case: `decode ${batch}`, tokensPerSecond: batch * newTokens / took});
    await context.dispose();
}

const devices = gpu ? await llama.getGpuDeviceNames() : [];
console.log(JSON.stringify({version: [llama.llamaCppRelease.release, ...devices].join(", "), results}));
process.exit(0);
