/** Kinds of settings that every part of the schema is built from. */
import Joi from 'joi';

export const text = (note: string): Joi.StringSchema => Joi.string().min(1).max(8192).description(note);

export const flag = (note: string, byDefault: boolean): Joi.BooleanSchema =>
  Joi.boolean().default(byDefault).description(note);

export const whole = (note: string, min: number, max: number): Joi.NumberSchema =>
  Joi.number().integer().min(min).max(max).description(note);

export const url = (note: string, ...scheme: readonly string[]): Joi.StringSchema =>
  Joi.string()
    .uri({ scheme: [...scheme] })
    .description(note);

/** A mapping that may be left out: its own defaults apply then. */
export const section = (keys: Joi.SchemaMap): Joi.ObjectSchema => Joi.object(keys).default();

const DECIMAL = /^\d{1,15}(?:\.\d{1,9})?$/;

/** An amount. YAML reads an unquoted one as a number; its shortest text is what was written. */
export const decimal = (note: string): Joi.AnySchema =>
  Joi.any()
    .custom((value: unknown, tools) => {
      const written = typeof value === 'number' ? String(value) : value;
      return typeof written === 'string' && DECIMAL.test(written) ? written : tools.error('decimal.base');
    })
    .messages({ 'decimal.base': 'must be a decimal such as "10000.50"' })
    .meta({ type: 'decimal' })
    .description(note);
