//! Each pair test is shown to be able to fail: one-line faults in every kernel, all of which its cases must catch.
//!
//! Dropped barriers are tried on software drivers alone, which run the lanes in small groups, one after the other, and so
//! show the race each time. A GPU may happen to run the whole workgroup in step.

use crate::harness::{Failure, Gpu, Lab, open};
use crate::translate::parse;
use crate::{cases_of, on_each};
use cb_lab::backend::gpu::{GpuBackend, GpuOptions, Kernel};
use libtest_mimic::Trial;
use std::sync::Arc;

/// A fault: `from`, which stands once in the kernel's file, becomes `to`.
#[derive(Clone, Copy)]
struct Mutant {
    kernel: Kernel,
    what: &'static str,
    from: &'static str,
    to: &'static str,
}

const fn mutant(kernel: Kernel, what: &'static str, from: &'static str, to: &'static str) -> Mutant {
    Mutant { kernel, what, from, to }
}

use Kernel::*;
#[rustfmt::skip]
const MUTANTS: &[Mutant] = &[
    mutant(EmbedTokens, "ignores first_row", " - p.first_row", ""),
    mutant(EmbedTokens, "writes rows of other pieces", "table_row < p.num_rows", "true"),
    mutant(EmbedTokens, "ignores token_ids_offset", "p.token_ids_offset + ", ""),
    mutant(EmbedTokens, "a sampled token's other word", "sampled_tokens[2u * token_id]", "sampled_tokens[2u * token_id + 1u]"),
    mutant(EmbedTokens, "never a sampled token", "p.from_sampled == 1u", "false"),
    mutant(EmbedTokens, "half the width", "p.hidden_size / 4u", "p.hidden_size / 8u"),
    mutant(EmbedTokens, "one row of workgroups", "workgroup.y * num_workgroups.x + workgroup.x", "workgroup.x"),

    mutant(RmsNorm, "no eps", " + p.eps", ""),
    mutant(RmsNorm, "eps ten times", "+ p.eps", "+ 10.0 * p.eps"),
    mutant(RmsNorm, "no weight", " * inverse * weight[i]", " * inverse"),
    mutant(RmsNorm, "sums half the threads", "half = WORKGROUP_SIZE / 2u", "half = WORKGROUP_SIZE / 4u"),
    mutant(RmsNorm, "wrong row stride", "row * width", "row * p.width"),
    mutant(RmsNorm, "no barrier before the sums", "sums[lane] = sum;\n    workgroupBarrier();", "sums[lane] = sum;"),
    mutant(RmsNorm, "one row too many", "row >= p.num_rows", "row > p.num_rows"),

    mutant(Linear, "two vec4s short", "k + 1u < width", "k + 3u < width"),
    mutant(Linear, "no odd vec4", "width % 2u == 1u", "width % 2u == 2u"),
    mutant(Linear, "f16 halves swapped", "unpack2x16float(words.x), unpack2x16float(words.y)", "unpack2x16float(words.y), unpack2x16float(words.x)"),
    mutant(Linear, "bf16 even and odd swapped", "words << vec2(16u)", "words & vec2(0xfffe0000u)"),
    mutant(EmbedTokens, "first half of eight only", "c % 2u == 1u", "false"),
    mutant(EmbedTokens, "bf16 not shifted", "words << vec2(16u)", "words"),
    mutant(EmbedTokens, "always the first of interleaved rows", " + row % INTERLEAVE;", ";"),
    mutant(EmbedTokens, "the scales of half the columns", "width / 8u, c / 8u", "width / 8u, c / 16u"),
    mutant(EmbedTokens, "the scale of another row", "[place % 2u]", "[0]"),
    mutant(EmbedTokens, "four bytes for all columns", "words[c % 4u]", "words[0]"),
    mutant(Linear, "ignores first_out", "p.out_features + p.first_out + n", "p.out_features + n"),
    mutant(Linear, "bias of the first piece", "bias[p.first_out + n]", "bias[n]"),
    mutant(Linear, "rows past the end", "if first_row + i < p.num_rows", "if first_row + i < p.num_rows + 1u"),
    mutant(Linear, "columns past the end", "n >= p.num_out", "n > p.num_out"),
    mutant(Linear, "third column twice", "first_n + 3u * WORKGROUP_SIZE", "first_n + 2u * WORKGROUP_SIZE * 1u"),
    mutant(Linear, "never the bias", "p.has_bias != 0u", "false"),
    mutant(Linear, "always overwrites", "p.add_to_out != 0u", "false"),
    mutant(Linear, "always adds", "p.add_to_out != 0u", "true"),
    mutant(Linear, "nibbles of another word", "eight % PARTS", "0u"),
    mutant(Linear, "the other scale", "two_scales(scales[at / 16u])[at / 8u % 2u]", "two_scales(scales[at / 16u])[at / 16u % 2u]"),
    mutant(Linear, "no scale", "return weights * two_scales", "return weights; // two_scales"),
    mutant(Linear, "adds to another row", "value += out[at]", "value += out[at % p.out_features]"),

    mutant(LinearInterleaved, "the same x twice", "x_at(at, i + 1u,", "x_at(at, i,"),
    mutant(LinearInterleaved, "one packet again and again", "fetched(begin, k + next)", "fetched(begin, k)"),
    mutant(LinearInterleaved, "the first pair of a group", " + pairs % PAIRS_TOGETHER", ""),
    mutant(LinearInterleaved, "the second row is the first", "eight_weights(second_of(packets.low)", "eight_weights(first_of(packets.low)"),
    mutant(LinearInterleaved, "bytes without a sign", "four_bytes(bytes.x), four_bytes(bytes.y)", "vec4<f32>(vec4(bytes.x) >> vec4(0u, 8u, 16u, 24u) & vec4(255u)), four_bytes(bytes.y)"),
    mutant(LinearInterleaved, "the first eight bytes twice", "part == 1u", "part > 1u"),
    mutant(LinearInterleaved, "the last nibbles left out", "packet_of(packets, 3u, scales)", "packet_of(packets, 2u, scales)"),
    mutant(LinearInterleaved, "no scales", "scaled(first, scales)", "first"),
    mutant(LinearInterleaved, "the first group's scales", "p.in_features / 32u, k / 8u", "p.in_features / 32u, 0u"),
    mutant(LinearInterleaved, "f16 halves swapped", "unpack2x16float(words.x), unpack2x16float(words.y)", "unpack2x16float(words.y), unpack2x16float(words.x)"),
    mutant(LinearInterleaved, "bf16 not shifted", "words << vec2(16u)", "words"),
    mutant(LinearInterleaved, "f32 takes the same vec4 twice", "low_pair(at.x + PAIRS_TOGETHER)", "low_pair(at.x)"),
    mutant(LinearInterleaved, "one term left out", "fma(w[2], vec4(x.z), fma(", "fma(vec4(0.0), vec4(x.z), fma("),
    mutant(LinearInterleaved, "ignores first_out", "p.out_features + p.first_out + n", "p.out_features + n"),
    mutant(LinearInterleaved, "rows past the end", "if first_row + i < p.num_rows", "if first_row + i < p.num_rows + 1u"),
    mutant(LinearInterleaved, "columns past the end", "n >= p.num_out", "n > p.num_out"),
    mutant(LinearInterleaved, "always overwrites", "p.add_to_out != 0u", "false"),
    mutant(LinearInterleaved, "always adds", "p.add_to_out != 0u", "true"),
    mutant(LinearInterleaved, "the last eighth missing", "k < width;", "k + 8u < width;"),

    mutant(LinearSplit, "the same x twice", "x_at(at, i + 1u,", "x_at(at, i,"),
    mutant(LinearSplit, "one packet again and again", "fetched(begin, k + next)", "fetched(begin, k)"),
    mutant(LinearSplit, "every slice begins with the first eight", "k = 8u * first;", "k = 8u * min(first, 0u);"),
    mutant(LinearSplit, "slices overlap", "k += 8u * stride", "k += 8u * max(stride / 2u, 1u)"),
    mutant(LinearSplit, "one slice short", "slice < SLICES; slice++", "slice + 1u < SLICES; slice++"),
    mutant(LinearSplit, "the slices of the first row", "(row * SLICES + slice) * COLUMNS + column", "slice * COLUMNS + column"),
    mutant(LinearSplit, "no barrier before the sums", "    workgroupBarrier();\n", ""),
    mutant(LinearSplit, "the second pair is the first", "slices[at + 8u] = sums[row].z", "slices[at + 8u] = sums[row].x"),
    mutant(LinearSplit, "the scales of the first group", "p.in_features / 32u, k / 8u", "p.in_features / 32u, 0u"),
    mutant(LinearSplit, "ignores first_out", "p.out_features + p.first_out + n", "p.out_features + n"),
    mutant(LinearSplit, "bias of the first piece", "bias[p.first_out + n]", "bias[n]"),
    mutant(LinearSplit, "rows past the end", "row < p.num_rows && n", "row < p.num_rows + 1u && n"),
    mutant(LinearSplit, "columns past the end", "n < p.num_out {", "n <= p.num_out {"),
    mutant(LinearSplit, "always overwrites", "p.add_to_out != 0u", "false"),

    mutant(LinearTiles, "the same x twice", "x_at(at, i + 1u,", "x_at(at, i,"),
    mutant(LinearTiles, "one packet again and again", "fetched(low_begin, k + next)", "fetched(low_begin, k)"),
    mutant(LinearTiles, "the low columns twice", "min(high, last)", "min(low, last)"),
    mutant(LinearTiles, "a row twice", "low, high, (*x).at[13], (*x).own[13]", "low, high, (*x).at[12], (*x).own[12]"),
    mutant(LinearTiles, "the same weights for both vec4s", "high.second, b", "high.first, b"),
    mutant(LinearTiles, "the scales of other columns", "scales_at(high_pairs, k)", "scales_at(low_pairs, k)"),
    mutant(LinearTiles, "the last nibbles left out", "packet_of(high, 3u, high_scales)", "packet_of(high, 2u, high_scales)"),
    mutant(LinearTiles, "a row not written", "write(row + 11u, first_pair, tile.rows[11], added);", ""),
    mutant(LinearTiles, "bias of the first piece", "vec4(p.num_out - 1u)) + p.first_out", "vec4(p.num_out - 1u))"),
    mutant(LinearTiles, "ignores first_out", "p.out_features + p.first_out + n", "p.out_features + n"),
    mutant(LinearTiles, "rows past the end", "if row < p.num_rows {", "if row < p.num_rows + 1u {"),
    mutant(LinearTiles, "columns past the end", "if n < p.num_out", "if n <= p.num_out"),
    mutant(LinearTiles, "always overwrites", "p.add_to_out != 0u", "false"),
    mutant(LinearTiles, "always adds", "p.add_to_out != 0u", "true"),
    mutant(LinearTiles, "the last eighth missing", "k < width;", "k + 8u < width;"),

    mutant(GatedLinear, "two vec4s short", "k + 1u < width", "k + 3u < width"),
    mutant(GatedLinear, "no odd vec4", "width % 2u == 1u", "width % 2u == 2u"),
    mutant(GatedLinear, "no up", " * sums[i][OUTPUTS + j];", ";"),
    mutant(GatedLinear, "up of the first column", "sums[i][OUTPUTS + j]", "sums[i][OUTPUTS]"),
    mutant(GatedLinear, "gate and up swapped", "silu(sums[i][j]) * sums[i][OUTPUTS + j]", "silu(sums[i][OUTPUTS + j]) * sums[i][j]"),
    mutant(GatedLinear, "up is gate", "let u1 = eight_of_up(w.y + k)", "let u1 = eight_of_gate(w.y + k)"),
    mutant(GatedLinear, "up has gate's scales", "up_scales[at / 16u]", "gate_scales[at / 16u]"),
    mutant(GatedLinear, "turned round", "exp(min(-x", "exp(min(x"),
    mutant(GatedLinear, "clamped early", "80.0)))", "8.0)))"),
    mutant(GatedLinear, "f16 halves swapped", "unpack2x16float(words.x), unpack2x16float(words.y)", "unpack2x16float(words.y), unpack2x16float(words.x)"),
    mutant(GatedLinear, "bf16 not shifted", "words << vec2(16u)", "words"),
    mutant(GatedLinear, "ignores first_out", "p.out_features + p.first_out + n", "p.out_features + n"),
    mutant(GatedLinear, "rows past the end", "if first_row + i < p.num_rows", "if first_row + i < p.num_rows + 1u"),
    mutant(GatedLinear, "columns past the end", "n >= p.num_out", "n > p.num_out"),

    mutant(GatedLinearInterleaved, "the same x twice", "x_at(at, i + 1u,", "x_at(at, i,"),
    mutant(GatedLinearInterleaved, "one packet again and again", "fetched(begin, k + next)", "fetched(begin, k)"),
    mutant(GatedLinearInterleaved, "the first pair of a group", " + pairs % PAIRS_TOGETHER", ""),
    mutant(GatedLinearInterleaved, "up has gate's scales", "return up_scales[at];", "return gate_scales[at];"),
    mutant(GatedLinearInterleaved, "no up", " * sums[i][OUTPUTS + j];", ";"),
    mutant(GatedLinearInterleaved, "up is gate", "return up[at];", "return gate[at];"),
    mutant(GatedLinearInterleaved, "gate and up swapped", "silu(sums[i][j]) * sums[i][OUTPUTS + j]", "silu(sums[i][OUTPUTS + j]) * sums[i][j]"),
    mutant(GatedLinearInterleaved, "the last eighth missing", "k < width;", "k + 8u < width;"),
    mutant(GatedLinearInterleaved, "turned round", "exp(min(-x", "exp(min(x"),
    mutant(GatedLinearInterleaved, "clamped early", "80.0)))", "8.0)))"),
    mutant(GatedLinearInterleaved, "f16 halves swapped", "unpack2x16float(words.x), unpack2x16float(words.y)", "unpack2x16float(words.y), unpack2x16float(words.x)"),
    mutant(GatedLinearInterleaved, "bf16 not shifted", "words << vec2(16u)", "words"),
    mutant(GatedLinearInterleaved, "ignores first_out", "p.out_features + p.first_out + n", "p.out_features + n"),
    mutant(GatedLinearInterleaved, "rows past the end", "if first_row + i < p.num_rows", "if first_row + i < p.num_rows + 1u"),
    mutant(GatedLinearInterleaved, "columns past the end", "n >= p.num_out", "n > p.num_out"),

    mutant(GatedLinearSplit, "up is gate", "return up[at];", "return gate[at];"),
    mutant(GatedLinearSplit, "gate and up swapped", "silu(g) * u;", "silu(u) * g;"),
    mutant(GatedLinearSplit, "no up", "silu(g) * u;", "silu(g);"),
    mutant(GatedLinearSplit, "up of another column", "OUTPUTS + i % OUTPUTS);", "OUTPUTS);"),
    mutant(GatedLinearSplit, "one slice short", "slice < SLICES; slice++", "slice + 1u < SLICES; slice++"),
    mutant(GatedLinearSplit, "no barrier before the sums", "    workgroupBarrier();\n", ""),
    mutant(GatedLinearSplit, "ignores first_out", "p.out_features + p.first_out + n", "p.out_features + n"),
    mutant(GatedLinearSplit, "rows past the end", "row < p.num_rows && n", "row < p.num_rows + 1u && n"),
    mutant(GatedLinearSplit, "columns past the end", "n < p.num_out {", "n <= p.num_out {"),

    mutant(GatedLinearTiles, "the same x twice", "x_at(at, i + 1u,", "x_at(at, i,"),
    mutant(GatedLinearTiles, "up is gate", "return up[at];", "return gate[at];"),
    mutant(GatedLinearTiles, "up has gate's scales", "return up_scales[at];", "return gate_scales[at];"),
    mutant(GatedLinearTiles, "gate and up swapped", "silu(sums.x) * sums.z", "silu(sums.z) * sums.x"),
    mutant(GatedLinearTiles, "no up", " * sums.w;", ";"),
    mutant(GatedLinearTiles, "a row not written", "write(row + 9u, pair, tile.rows[9]);", ""),
    mutant(GatedLinearTiles, "f32 takes the same vec4 of up twice", "high_pair(at.y + PAIRS_TOGETHER)", "high_pair(at.y)"),
    mutant(GatedLinearTiles, "ignores first_out", "p.out_features + p.first_out + n", "p.out_features + n"),
    mutant(GatedLinearTiles, "rows past the end", "if row < p.num_rows {", "if row < p.num_rows + 1u {"),
    mutant(GatedLinearTiles, "columns past the end", "if n + 1u < p.num_out", "if n < p.num_out"),
    mutant(GatedLinearTiles, "the last eighth missing", "k < width;", "k + 8u < width;"),

    mutant(RopeStoreKv, "halves are cut off", "+ vec4(0xfffu) + to_even ", ""),
    mutant(RopeStoreKv, "a tie goes up", "finite + vec4(0xfffu) + to_even", "finite + vec4(0x1000u)"),
    mutant(RopeStoreKv, "no largest half", "min(size, vec4(0x477fe000u))", "size"),
    mutant(RopeStoreKv, "no subnormal halves", "select(normal, subnormal, finite < vec4(0x38800000u))", "normal"),
    mutant(RopeStoreKv, "halves without a sign", "let bits = sign | ", "let bits = "),
    mutant(RopeStoreKv, "turns backwards", "a * cosine - b * sine", "a * cosine + b * sine"),
    mutant(RopeStoreKv, "sines are cosines", "table[angles + half]", "table[angles]"),
    mutant(RopeStoreKv, "positions by head", "step[p.positions_offset + row]", "step[p.positions_offset + head % p.num_tokens]"),
    mutant(RopeStoreKv, "neighbours are pairs", "b = qkv[first + half]", "b = qkv[first + 1u]"),
    mutant(RopeStoreKv, "ignores positions_offset", "p.positions_offset + ", ""),
    mutant(RopeStoreKv, "V is turned, too", "if !is_value {", "if true {"),
    mutant(RopeStoreKv, "K is not turned", "if !is_value {", "if is_query {"),
    mutant(RopeStoreKv, "no eps", " + p.eps", ""),
    mutant(RopeStoreKv, "norms where there are none", "p.has_norms != 0u", "true"),
    mutant(RopeStoreKv, "K's norm is Q's", "select(2u * half, 0u, is_query)", "0u"),
    mutant(RopeStoreKv, "a thread's squares alone", "squares[lane - pair + i]", "squares[lane]"),
    mutant(RopeStoreKv, "squares of half a head", "dot(a, a) + dot(b, b)", "2.0 * dot(a, a)"),
    mutant(RopeStoreKv, "no barrier before the squares", "    workgroupBarrier();\n", ""),
    mutant(RopeStoreKv, "always the first KV head", "(head_of_row - p.num_heads) % p.num_kv_heads", "0u"),
    mutant(RopeStoreKv, "pool without heads", "(block * p.num_kv_heads + kv_head) * p.block_size", "(block + kv_head) * p.block_size"),
    mutant(RopeStoreKv, "one slot for all", "p.slot_mapping_offset + row", "p.slot_mapping_offset"),
    mutant(RopeStoreKv, "heads past the end", " && head < num_heads", ""),
    mutant(RopeStoreKv, "one row of workgroups", "workgroup.y * num_workgroups.x + workgroup.x", "workgroup.x"),

    mutant(RaggedAttention, "halves of V swapped", "halves_of(v_halves[at])", "halves_of(v_halves[at]).zwxy"),
    mutant(RaggedAttention, "halves of K are those of V", "halves_of(k_halves[at])", "halves_of(v_halves[at])"),
    mutant(RaggedAttention, "blind to itself", "tile + token <= position", "tile + token < position"),
    mutant(RaggedAttention, "sees the future", "tile + token <= position && ", ""),
    mutant(RaggedAttention, "window one too wide", "position - (tile + token) < p.window", "position - (tile + token) <= p.window"),
    mutant(RaggedAttention, "window begins late", "min(first_position + 1u, p.window);", "min(first_position, p.window - 1u);"),
    mutant(RaggedAttention, "no rescaling", "let shrink = exp(row_max - new_max)", "let shrink = 1.0"),
    mutant(RaggedAttention, "no maximum", "new_max = max(new_max, scores", "new_max = max(0.0, 0.0 * scores"),
    mutant(RaggedAttention, "no scale", " * p.scale", ""),
    mutant(RaggedAttention, "first block only", "step[blocks + token / BLOCK_SIZE]", "step[blocks]"),
    mutant(RaggedAttention, "packed rows without heads", "kv_head * GROUP + packed_row % GROUP", "kv_head * GROUP"),
    mutant(RaggedAttention, "context forgotten", "let position = context_len + ", "let position = "),
    mutant(RaggedAttention, "no barrier before V", "scores[i] = score;\n        }\n        workgroupBarrier();", "scores[i] = score;\n        }"),

    mutant(RaggedAttentionSubgroup, "halves of V swapped", "halves_of(v_halves[at])", "halves_of(v_halves[at]).zwxy"),
    mutant(RaggedAttentionSubgroup, "halves of K are those of V", "halves_of(k_halves[at])", "halves_of(v_halves[at])"),
    mutant(RaggedAttentionSubgroup, "blind to itself", "tokens <= vec4(position)", "tokens < vec4(position)"),
    mutant(RaggedAttentionSubgroup, "sees the future", " & (tokens <= vec4(position))", ""),
    mutant(RaggedAttentionSubgroup, "window one too wide", "vec4(position) - tokens < vec4(p.window)", "vec4(position) - tokens <= vec4(p.window)"),
    mutant(RaggedAttentionSubgroup, "window begins late", "var tile = begin / KV_TILE * KV_TILE", "var tile = begin / KV_TILE * KV_TILE + select(0u, KV_TILE, begin > 0u)"),
    mutant(RaggedAttentionSubgroup, "no rescaling", "let shrink = exp(rows.maximum - maximum)", "let shrink = vec4(1.0)"),
    mutant(RaggedAttentionSubgroup, "no maximum", "let maximum = max(largest, rows.maximum);", "let maximum = vec4(0.0);"),
    mutant(RaggedAttentionSubgroup, "a maximum of four", "largest = max(largest, subgroupShuffleXor(largest, 4u));", ""),
    mutant(RaggedAttentionSubgroup, "a total of four", "total += subgroupShuffleXor(total, 4u);", ""),
    mutant(RaggedAttentionSubgroup, "no scale", "scores * p.scale", "scores"),
    mutant(RaggedAttentionSubgroup, "the same q for eight", "from_lane(q_a, first_of_team + i)", "from_lane(q_a, first_of_team)"),
    mutant(RaggedAttentionSubgroup, "one lane's weights for eight", "from_lane(b.weights, first_of_team + i)", "b.weights"),
    mutant(RaggedAttentionSubgroup, "first block only", "tokens / BLOCK_SIZE + blocks", "vec4(blocks)"),
    mutant(RaggedAttentionSubgroup, "packed rows without heads", "kv_head * GROUP + packed_rows % GROUP", "vec4(kv_head * GROUP)"),
    mutant(RaggedAttentionSubgroup, "context forgotten", "rows.positions = context_len + ", "rows.positions = "),
    mutant(RaggedAttentionSubgroup, "rows past the last", "min(first_packed + ROWS, all_packed) - 1u", "first_packed + ROWS - 1u"),
    mutant(RaggedAttentionSubgroup, "tokens past the end are read", "min(tokens, vec4(end - 1u))", "tokens"),

    mutant(PagedAttention, "halves of V swapped", "halves_of(v_halves[at])", "halves_of(v_halves[at]).zwxy"),
    mutant(PagedAttention, "halves of K are those of V", "halves_of(k_halves[at])", "halves_of(v_halves[at])"),
    mutant(PagedAttention, "blind to itself", "let end = step[item_at + 2u]", "let end = max(step[item_at + 2u] - 1u, 1u)"),
    mutant(PagedAttention, "begins one late", "let begin = step[item_at + 1u]", "let begin = min(step[item_at + 1u] + 1u, step[item_at + 2u] - 1u)"),
    mutant(PagedAttention, "each split from the first token", "let begin = step[item_at + 1u]", "let begin = 0u"),
    mutant(PagedAttention, "no rescaling", "let shrink = exp(head_max[head] - new_max)", "let shrink = 1.0"),
    mutant(PagedAttention, "no maximum", "stripe_max = max(stripe_max, ", "stripe_max = min(0.0, "),
    mutant(PagedAttention, "a sum without its rescaling", "head_sum[head] * shrink + weight", "head_sum[head] + weight"),
    mutant(PagedAttention, "first heads of a group only", "workgroup.z % PARTS * HEADS", "0u"),
    mutant(PagedAttention, "heads past the group", "if i < num_heads_here * WIDTH {\n            var total", "if i < HEADS * WIDTH {\n            var total"),
    mutant(PagedAttention, "first block only", "step[blocks + token / BLOCK_SIZE]", "step[blocks]"),
    mutant(PagedAttention, "wrong pool stride", "block * p.num_kv_heads + kv_head", "block * p.num_heads + kv_head"),
    mutant(PagedAttention, "all are whole", "if item < p.num_whole {", "if true {"),
    mutant(PagedAttention, "one place for all splits", "((item - p.num_whole) * p.num_heads + first_head + head)", "(first_head + head)"),
    mutant(PagedAttention, "a split is divided", "partials[partial + i % WIDTH] = sums[slot];", "partials[partial + i % WIDTH] = sums[slot] / total;"),
    mutant(PagedAttention, "the maximum of another head", "vec4(head_max[head], total", "vec4(head_max[0], total"),
    mutant(PagedAttention, "no barrier before the maxima", "lane < tile_len);\n        }\n        workgroupBarrier();", "lane < tile_len);\n        }"),

    mutant(PagedAttentionSubgroup, "halves of V swapped", "halves_of(v_halves[at])", "halves_of(v_halves[at]).zwxy"),
    mutant(PagedAttentionSubgroup, "halves of K are those of V", "halves_of(k_halves[at])", "halves_of(v_halves[at])"),
    mutant(PagedAttentionSubgroup, "blind to itself", "let end = step[item_at + 2u]", "let end = max(step[item_at + 2u] - 1u, 1u)"),
    mutant(PagedAttentionSubgroup, "begins one late", "let begin = step[item_at + 1u]", "let begin = min(step[item_at + 1u] + 1u, step[item_at + 2u] - 1u)"),
    mutant(PagedAttentionSubgroup, "each split from the first token", "let begin = step[item_at + 1u]", "let begin = 0u"),
    mutant(PagedAttentionSubgroup, "tokens before the window", "(tokens >= vec4(begin)) & ", ""),
    mutant(PagedAttentionSubgroup, "tokens past the end count", " & (tokens < vec4(end))", ""),
    mutant(PagedAttentionSubgroup, "no rescaling", "let shrink = exp(rows.maximum - maximum)", "let shrink = vec4(1.0)"),
    mutant(PagedAttentionSubgroup, "no maximum", "let maximum = max(largest, rows.maximum);", "let maximum = vec4(0.0);"),
    mutant(PagedAttentionSubgroup, "a maximum of four", "largest = max(largest, subgroupShuffleXor(largest, 4u));", ""),
    mutant(PagedAttentionSubgroup, "a sum without its rescaling", "fma(rows.total, shrink, ", "fma(rows.total, vec4(1.0), "),
    mutant(PagedAttentionSubgroup, "a total of four", "    total += subgroupShuffleXor(total, 4u);\n    if", "    if"),
    mutant(PagedAttentionSubgroup, "one team's total", "* totals[four * TEAMS + team]", "* totals[four * TEAMS]"),
    mutant(PagedAttentionSubgroup, "sums of one team", "sum += teams_sums[team * 8u * LANES + i]", "sum += teams_sums[i]"),
    mutant(PagedAttentionSubgroup, "each team by its own maximum", "shrunk(before.sums, exp(before.maximum - rows.maximum))", "before.sums"),
    mutant(PagedAttentionSubgroup, "a lane's part of a score", "total += subgroupShuffleXor(total, 2u);\n    total += subgroupShuffleXor(total, 1u);\n    return total;\n}\n\n// Scores", "return total;\n}\n\n// Scores"),
    mutant(PagedAttentionSubgroup, "scores of near tokens for the far", "let far_parts = parts_of_scores(rows.q, far)", "let far_parts = near_parts"),
    mutant(PagedAttentionSubgroup, "the far keep the scores of the near", "select(near, far, is_far) + subgroupShuffleXor(select(far, near, is_far)", "select(far, near, is_far) + subgroupShuffleXor(select(near, far, is_far)"),
    mutant(PagedAttentionSubgroup, "scores for another lane", "lane_of_team % (LANES / 2u) == owner", "lane_of_team / 2u == owner"),
    mutant(PagedAttentionSubgroup, "q of one vec4 for all", "parts_of_scores(q: Columns, k: Columns) -> mat4x4<f32> {\n    var parts = multiply_add(transpose(k.c_0), q.c_0", "parts_of_scores(q: Columns, k: Columns) -> mat4x4<f32> {\n    var parts = multiply_add(transpose(k.c_0), from_lane(q.c_0, 0u)"),
    mutant(PagedAttentionSubgroup, "one lane's weights for eight", "from_lane(a.weights, first_of_team + i)", "a.weights"),
    mutant(PagedAttentionSubgroup, "first heads of a group only", "workgroup.z % PARTS * HEADS", "0u"),
    mutant(PagedAttentionSubgroup, "heads past the group", "head < num_heads_here", "head < HEADS"),
    mutant(PagedAttentionSubgroup, "first block only", "tokens / BLOCK_SIZE + blocks", "vec4(blocks)"),
    mutant(PagedAttentionSubgroup, "all are whole", "Place(item < p.num_whole,", "Place(true,"),
    mutant(PagedAttentionSubgroup, "one place for all splits", "(item - p.num_whole) * p.num_heads + kv_head", "kv_head"),
    mutant(PagedAttentionSubgroup, "a split is divided", "partials[at] = sum;", "partials[at] = sum / total;"),
    mutant(PagedAttentionSubgroup, "a total of one lane", "let total = total_of_team(rows.total);", "let total = rows.total;"),
    mutant(PagedAttentionSubgroup, "a total of one team", "rows.total = total_of_team(total);", "rows.total = total;"),
    mutant(PagedAttentionSubgroup, "a maximum of one lane", "largest_of_team(max(max(scores[0], scores[1]), max(scores[2], scores[3])))", "max(max(scores[0], scores[1]), max(scores[2], scores[3]))"),
    mutant(PagedAttentionSubgroup, "maxima of the first four heads", "maxima[four * TEAMS + team] = rows.maximum", "maxima[team] = rows.maximum"),
    mutant(PagedAttentionSubgroup, "the first four heads twice", "min(four + 4u, ", "min(four, "),
    mutant(PagedAttentionSubgroup, "near tokens for the far, second heads", "scored(b, near, far,", "scored(b, near, near,"),
    mutant(PagedAttentionSubgroup, "a column of K twice", "keys_at(at + 2u * LANES)", "keys_at(at + LANES)"),
    mutant(PagedAttentionSubgroup, "a column of q twice", "queries_at(at + 3u * LANES)", "queries_at(at + 2u * LANES)"),
    mutant(PagedAttentionSubgroup, "totals without their share", "exp(maxima[four * TEAMS + team] - rows.maximum) * totals", "totals"),
    mutant(PagedAttentionSubgroup, "a maximum of one lane's teams", "rows.maximum = largest_of_team(maximum)", "rows.maximum = maximum"),
    mutant(PagedAttentionSubgroup, "the maximum of another head", "rows.maximum[one_of_four]", "rows.maximum[0]"),
    mutant(PagedAttentionSubgroup, "the total of another head", "rows.total[one_of_four]", "rows.total[0]"),
    mutant(PagedAttentionSubgroup, "no barrier before the totals", "note(b, 1u, team, lane_of_team);\n    }\n    workgroupBarrier();", "note(b, 1u, team, lane_of_team);\n    }"),
    mutant(PagedAttentionSubgroup, "the second column is the first", "] = second[0]", "] = first[0]"),
    mutant(PagedAttentionSubgroup, "no barrier before the next columns", "workgroupBarrier();\n        write_columns", "write_columns"),
    mutant(PagedAttentionSubgroup, "no barrier before the next heads", "workgroupBarrier();\n        write(of_all_teams(b", "write(of_all_teams(b"),
    mutant(PagedAttentionSubgroup, "heads of splits too near", "place.stride = WIDTH + 1u", "place.stride = WIDTH"),
    mutant(PagedAttentionSubgroup, "no barrier before the sums", "teams_sums[mine + 7u * LANES] = second[3];\n    workgroupBarrier();", "teams_sums[mine + 7u * LANES] = second[3];"),

    mutant(MergeSplits, "no maximum", "let share = exp(of_split.x - maximum)", "let share = exp(of_split.x)"),
    mutant(MergeSplits, "all splits weigh the same", "let share = exp(of_split.x - maximum)", "let share = 1.0"),
    mutant(MergeSplits, "a total without its share", "total += share * of_split.y", "total += of_split.y"),
    mutant(MergeSplits, "the maximum of the first split", "maximum = max(maximum, partials", "maximum = select(maximum, partials[partial_at(first, head) + width].x, true); _ = max(maximum, partials"),
    mutant(MergeSplits, "one split short", "for (var split = first; split < end; split++) {\n            let", "for (var split = first; split + 1u < end; split++) {\n            let"),
    mutant(MergeSplits, "splits from 0 on", "for (var split = first; split < end; split++) {\n            let", "for (var split = 0u; split < end - first; split++) {\n            let"),
    mutant(MergeSplits, "rows one after the other", "let row = step[item_at]", "let row = item"),
    mutant(MergeSplits, "ignores items_offset", "p.items_offset + 3u", "3u"),
    mutant(MergeSplits, "the first head's partials", "split * p.num_heads + head", "split * p.num_heads"),
    mutant(MergeSplits, "a row too many", "item >= p.num_items", "item > p.num_items"),
    mutant(MergeSplits, "a vec4 short", "column < width", "column + 1u < width"),
    mutant(MergeSplits, "one row of workgroups", "workgroup.y * num_workgroups.x + workgroup.x", "workgroup.x"),

    mutant(GatherRows, "ignores indices_offset", "p.indices_offset + ", ""),
    mutant(GatherRows, "half the width", "p.width / 4u", "p.width / 8u"),
    mutant(GatherRows, "a row too many", "i < p.num_rows * width", "i < (p.num_rows + 1u) * width"),
    mutant(GatherRows, "first column only", " + i % width", ""),

    mutant(Sample, "the highest index wins a tie", "other_idx < indices[lane]", "other_idx > indices[lane]"),
    mutant(Sample, "a tie within a thread", "if x[begin + i] > best", "if x[begin + i] >= best"),
    mutant(Sample, "the maximum is not taken off", "sum += exp(x[begin + i] - largest)", "sum += exp(x[begin + i])"),
    mutant(Sample, "wrong sign", "- log(", "+ log("),
    mutant(Sample, "starts from zero", "var best = LOWEST", "var best = 0.0"),
    mutant(Sample, "the probability of the largest", "x[begin + chosen] - largest - log", "0.0 - log"),
    mutant(Sample, "negative numbers in reverse", "select(0u - bits, bits |", "select(bits, bits |"),
    mutant(Sample, "NaN is a number", "> 0x7f800000u", "> 0x7fffffffu"),
    mutant(Sample, "zeros of two signs differ", "let place = select(0u - bits", "let place = select(~bits"),
    mutant(Sample, "ends a round early", "if step == 1u", "if step < 8u"),
    mutant(Sample, "half the reach", "2u) - 2u)", "3u) - 3u)"),
    mutant(Sample, "two tokens for one", "1.5 * mass", "3.0 * mass"),
    mutant(Sample, "ends before the first cut", " && place > before.place", ""),
    mutant(Sample, "no barrier before the next round", "workgroupUniformLoad(&high_masses[0])", "high_masses[0]"),
    mutant(Sample, "one more than k", "enough = f32(input.top_k)", "enough = f32(input.top_k) + 1.0"),
    mutant(Sample, "all ties stay", "min(ties, before.ties), place", "before.ties, place"),
    mutant(Sample, "top-p of all tokens", "if own_place > before.place", "if own_place > 0u"),
    mutant(Sample, "top-p without the tokens at the cut", "before.ties > 0u", "false"),
    mutant(Sample, "a tie too few", "ceil((enough - above) / mass)", "floor((enough - above) / mass)"),
    mutant(Sample, "the last ties stay", "place == cut.place && ties < cut.ties", "place == cut.place && ties >= cut.ties"),
    mutant(Sample, "ties of other stretches forgotten", "ties_before += indices[other]", "ties_before += 0u"),
    mutant(Sample, "never min-p", " && weight >= input.min_p", ""),
    mutant(Sample, "no temperature", "/ input.temperature", "/ 1.0"),
    mutant(Sample, "a hair above the last", "(wanted < after || after == total)", "wanted < after"),
    mutant(Sample, "minus infinity breaks a row", " && bits != 0xff800000u", ""),
    mutant(Sample, "rows are broken unless they are", "indices[0] == 1u", "indices[0] == 0u"),
    mutant(Sample, "the token before", "before + sum <= wanted", "before + sum < wanted * 0.999"),
    mutant(Sample, "no barrier before the total", "drawn = largest_idx;\n    }\n    workgroupBarrier();", "drawn = largest_idx;\n    }"),
];

pub fn trials(gpus: &[Arc<Gpu>], missing: &'static str) -> Vec<Trial> {
    let software: Vec<Arc<Gpu>> = gpus.iter().filter(|gpu| gpu.software).map(Arc::clone).collect();
    let trial = |mutant: &'static Mutant| {
        let name = format!("{}/mutant: {}", mutant.kernel.source().name, mutant.what);
        let a_race = ["workgroupBarrier", "workgroupUniformLoad"].iter().any(|barrier| mutant.from.contains(barrier));
        let (gpus, missing) = if a_race { (&software[..], "no software adapter") } else { (gpus, missing) };
        // A fault of a version whose lanes hand values round shows only where it runs.
        let needs_lanes =
            mutant.kernel.naive() != mutant.kernel && !matches!(mutant.kernel, LinearSplit | GatedLinearSplit);
        let runs = |gpu: &&Arc<Gpu>| !needs_lanes || gpu.lanes >= 8;
        let able: Vec<Arc<Gpu>> = gpus.iter().filter(runs).map(Arc::clone).collect();
        let missing = if able.is_empty() && !gpus.is_empty() { "subgroups of fewer than 8 lanes" } else { missing };
        let gpus = &able[..];
        on_each(gpus, missing, &name, move |gpu| caught(gpu, mutant))
    };
    let mut trials: Vec<Trial> = MUTANTS.iter().flat_map(trial).collect();
    trials.push(Trial::test("mutants/apply and compile [naga]", || {
        for mutant in MUTANTS {
            parse(&mutated(mutant)?).map_err(|error| format!("{}: {error}", mutant.what))?;
        }
        Ok(())
    }));
    trials.push(Trial::test("mutants/three or more of each kernel", || {
        let few = |kernel: &Kernel| MUTANTS.iter().filter(|mutant| mutant.kernel == *kernel).count() < 3;
        Kernel::ALL.into_iter().find(few).map_or(Ok(()), |kernel| Err(kernel.source().name.into()))
    }));
    trials
}

/// The kernel's text with the fault in it.
fn mutated(mutant: &Mutant) -> Result<String, String> {
    let source = mutant.kernel.source();
    let wgsl = source.wgsl();
    match wgsl.matches(mutant.from).count() {
        1 => Ok(wgsl.replacen(mutant.from, mutant.to, 1)),
        count => Err(format!("`{}` stands {count} times in {}.wgsl, not once", mutant.from, source.name)),
    }
}

/// Whether a case shows another result than the twin's.
fn caught(gpu: &Gpu, mutant: &Mutant) -> Result<(), String> {
    let wgsl = vec![(mutant.kernel, mutated(mutant)?)];
    let mut lab: Option<(GpuOptions, Lab<GpuBackend>)> = None;
    let cases = cases_of(mutant.kernel);
    for case in &cases {
        let options = GpuOptions { wgsl: wgsl.clone(), ..case.gpu_options() };
        if lab.as_ref().is_none_or(|(opened, _)| *opened != options) {
            let opened = open(gpu, options.clone()).map_err(|failure| failure.to_string())?;
            lab = Some((options, opened));
        }
        let Some((_, lab)) = &mut lab else { continue };
        match case.check_gpu(lab) {
            Ok(()) => {}
            Err(Failure::Mismatch(_)) => return Ok(()),
            Err(Failure::Device(message)) => return Err(message),
        }
    }
    Err(format!("survived all {} cases", cases.len()))
}
