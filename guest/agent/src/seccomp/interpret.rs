//! Runs a filter as the kernel would, for the tests. It knows the instructions that the assembler emits, and checks what the
//! kernel's own checker does: no jump leaves the program, and the program ends with an answer.

use super::assemble::{
    ARCHITECTURE_AT, ARGUMENT_AT, JUMP_IF_ANY_BIT, JUMP_IF_EQUAL, JUMP_IF_NOT_BELOW, LOAD, NUMBER_AT, RETURN,
};
use super::Instruction;

pub struct Call {
    pub architecture: u32,
    pub number: u32,
    /// The first argument.
    pub argument: u64,
}

pub struct Run {
    pub result: u32,
    pub steps: usize,
    /// Offsets of what was looked at.
    pub loaded: Vec<u32>,
}

pub fn run(program: &[Instruction], call: &Call) -> Run {
    let (mut at, mut value, mut steps, mut loaded) = (0, 0_u32, 0, Vec::new());
    loop {
        let Instruction { code, jt, jf, k } = program[at];
        steps += 1;
        at += 1;
        let holds = match code {
            LOAD => {
                loaded.push(k);
                value = load(call, k);
                continue;
            }
            RETURN => return Run { result: k, steps, loaded },
            JUMP_IF_EQUAL => value == k,
            JUMP_IF_NOT_BELOW => value >= k,
            JUMP_IF_ANY_BIT => value & k != 0,
            unknown => panic!("no instruction: {unknown:#x}"),
        };
        at += usize::from(if holds { jt } else { jf });
    }
}

fn load(call: &Call, offset: u32) -> u32 {
    match offset {
        NUMBER_AT => call.number,
        ARCHITECTURE_AT => call.architecture,
        ARGUMENT_AT => u32::try_from(call.argument & 0xffff_ffff).unwrap(),
        elsewhere => panic!("nothing at {elsewhere}"),
    }
}
