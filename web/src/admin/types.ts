export interface User {
  id: string;
  email: string;
  emailConfirmed: boolean;
  role: "user" | "admin";
  disabled: boolean;
  disabledAt?: string;
  createdAt: string;
  totpEnabledAt?: string;
  quotas: Record<string, number | null>;
}

export interface ResetLink {
  url: string;
  expiresAt: string;
}

export interface Overview {
  version: string;
  uptimeMs: number;
  users: { total: number; disabled: number; activeAdmins: number };
  pool: { running: number; waiting: number; warm: number; idle: number; booting: number; users: number; sessions: number; reservations: number; reservedMemoryBytes: number };
  queuedExecutions: number;
  processMemoryBytes: number;
  disk: { freeBytes: number; totalBytes: number };
  database: { kind: string; sizeBytes: number };
  runtimes: Record<string, string>;
  lastBackupAt?: string;
  workers?: number;
}

export interface Setting {
  name: string;
  value: string;
  origin: "flag" | "environment" | "file" | "default";
  source?: string;
  reload: boolean;
  restartNeeded: boolean;
}

export const usersPath = "/api/v1/admin/users";
